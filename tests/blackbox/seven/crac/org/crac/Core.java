// SPDX-License-Identifier: Apache-2.0
//
// As much of the library org.crac as a function with hooks uses, by its names: what is behind it is found by the property
// org.crac.Core.Compat, and reached by reflection alone, with a proxy for each resource.
package org.crac;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

public final class Core {
    private static final Context<Resource> GLOBAL = new Behind();

    private Core() {
    }

    public static Context<Resource> getGlobalContext() {
        return GLOBAL;
    }

    private static final class Behind extends Context<Resource> {
        private final java.util.List<Object> proxies = new java.util.ArrayList<Object>(); // kept, as by the library

        @Override
        public void register(final Resource resource) {
            String implementation = System.getProperty("org.crac.Core.Compat");
            try {
                Class<?> kind = Class.forName(implementation + ".Resource");
                InvocationHandler handler = new InvocationHandler() {
                    @Override
                    public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
                        if (method.getName().equals("beforeCheckpoint")) resource.beforeCheckpoint(GLOBAL);
                        else if (method.getName().equals("afterRestore")) resource.afterRestore(GLOBAL);
                        else return method.invoke(resource, arguments);
                        return null;
                    }
                };
                Object proxy = Proxy.newProxyInstance(kind.getClassLoader(), new Class<?>[] {kind}, handler);
                proxies.add(proxy);
                Object context = Class.forName(implementation + ".Core").getMethod("getGlobalContext").invoke(null);
                Class.forName(implementation + ".Context").getMethod("register", kind).invoke(context, proxy);
            } catch (InvocationTargetException e) {
                throw new RuntimeException(e.getCause());
            } catch (ReflectiveOperationException e) {
                throw new RuntimeException(e);
            }
        }

        @Override
        public void beforeCheckpoint(Context<? extends Resource> context) {
        }

        @Override
        public void afterRestore(Context<? extends Resource> context) {
        }
    }
}

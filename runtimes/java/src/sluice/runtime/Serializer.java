// SPDX-License-Identifier: Apache-2.0
//
// Serializer: the user's own CustomPojoSerializer (aws-lambda-java-core), if META-INF/services names one; it then reads and
// writes every value in place of our Mapper.
package sluice.runtime;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.Iterator;
import java.util.ServiceLoader;

final class Serializer {
    private final Object own;
    private final Method read;
    private final Method write;

    private Serializer(Object own, Class<?> type) throws NoSuchMethodException {
        this.own = own;
        read = type.getMethod("fromJson", InputStream.class, Type.class);
        write = type.getMethod("toJson", Object.class, OutputStream.class, Type.class);
    }

    static Serializer find(ClassLoader loader) {
        String name = Contexts.PACKAGE.concat("CustomPojoSerializer");
        if (loader.getResource("META-INF/services/".concat(name)) == null) return null;
        try {
            Class<?> type = Class.forName(name, true, loader);
            Iterator<?> found = ServiceLoader.load(type, loader).iterator();
            if (!found.hasNext()) return null;
            Serializer serializer = new Serializer(found.next(), type);
            if (found.hasNext()) {
                throw Failure.fault("Too many serializers provided inside the META-INF/services folder, only one is allowed",
                        new IllegalStateException(), true);
            }
            return serializer;
        } catch (ReflectiveOperationException e) {
            throw Failure.fault(Failure.message(e), e, true);
        }
    }

    Object read(byte[] body, Type type) throws Throwable {
        try {
            return read.invoke(own, new ByteArrayInputStream(body), type);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    byte[] write(Object value, Type type) throws Throwable {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            write.invoke(own, value, out, type);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        return out.toByteArray();
    }
}

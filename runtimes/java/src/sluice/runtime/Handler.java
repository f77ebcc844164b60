// SPDX-License-Identifier: Apache-2.0
//
// Handler: finds what "package.Class::method" or "package.Class" names in the user's code, and calls it. The forms and the choice
// between overloads are AWS's (developer guide, "Define Lambda function handler in Java"): a class that implements RequestHandler
// or RequestStreamHandler; a method that takes nothing, one value of any type, streams, and a Context in the last place.
//
// What is wrong with the name is found out at start and told at the first event, as on AWS; only what the user's own static
// initialisers and constructors throw fails the start.
package sluice.runtime;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

final class Handler {
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};
    private static final String CONTEXT = Contexts.PACKAGE.concat("Context");

    private Failure wrong; // told at each event
    private Object instance;
    private Method method;
    private Type input;    // of the value; null when it takes none
    private Type output;
    private boolean takesIn;
    private boolean takesOut;
    private Class<?> context; // the user's interface, when it takes one
    private Object logger;
    private Serializer serializer; // the user's own, or null

    private Handler() {
    }

    /** Throws a Failure when the user's code fails while it is loaded. */
    static Handler load(String name, ClassLoader loader) {
        Handler handler = new Handler();
        try {
            handler.find(name, loader);
        } catch (Failure failure) {
            if (failure.fatal) throw failure;
            handler.wrong = failure;
        }
        return handler;
    }

    private void find(String name, ClassLoader loader) {
        int colons = name.lastIndexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String methodName = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || (methodName != null && methodName.isEmpty())) {
            throw Failure.fault(new StringBuilder("Invalid handler: `").append(name).append('\'').toString());
        }
        Class<?> type;
        try {
            type = Class.forName(className, true, loader);
        } catch (ClassNotFoundException e) {
            throw Failure.fault("Class not found: ".concat(className), e, false);
        } catch (Throwable e) {
            String message = e.getMessage() == null ? "" : ": ".concat(e.getMessage());
            throw Failure.fault(new StringBuilder("Error loading class ").append(className).append(message).toString(), e,
                    !(e instanceof NoClassDefFoundError));
        }
        if (methodName == null) byInterface(type);
        else byMethod(type, methodName);
        serializer = Serializer.find(loader);
        if (context != null) logger = Contexts.logger(context);
    }

    // ---- classes that implement AWS's interfaces ----

    private void byInterface(Class<?> type) {
        Class<?> stream = supertype(type, Contexts.PACKAGE.concat("RequestStreamHandler"));
        Class<?> request = supertype(type, Contexts.PACKAGE.concat("RequestHandler"));
        if (stream == null && request == null) {
            throw Failure.fault("Class does not implement an appropriate handler interface: ".concat(type.getName()));
        }
        method = only(stream != null ? stream : request);
        Class<?>[] parameters = method.getParameterTypes();
        context = parameters[parameters.length - 1];
        takesIn = takesOut = stream != null;
        if (stream == null) {
            Type[] types = arguments(type, request, new HashMap<TypeVariable<?>, Type>());
            if (types == null) throw Failure.fault(concrete(type).toString());
            for (Type one : types) {
                if (one instanceof TypeVariable && ((TypeVariable<?>) one).getBounds()[0] == Object.class) {
                    throw Failure.fault(concrete(type).append(": parameter ").append(one).append(" has no upper bound.").toString());
                }
            }
            input = types[0];
            output = types[1];
        }
        instance = create(type);
    }

    private static StringBuilder concrete(Class<?> type) {
        return new StringBuilder("Class ").append(type.getName()).append(" does not implement RequestHandler with concrete type parameters");
    }

    private static Method only(Class<?> type) {
        for (Method method : type.getMethods()) {
            if (method.getName().equals("handleRequest")) return method;
        }
        throw Failure.fault("No method handleRequest in ".concat(type.getName()));
    }

    private static Class<?> supertype(Class<?> type, String name) {
        for (Class<?> c = type; c != null; c = c.getSuperclass()) {
            if (c.getName().equals(name)) return c;
            for (Class<?> one : c.getInterfaces()) {
                Class<?> found = supertype(one, name);
                if (found != null) return found;
            }
        }
        return null;
    }

    /** The type arguments that `type` gives to the interface `target`, its own variables replaced as far as they are known. */
    private static Type[] arguments(Class<?> type, Class<?> target, Map<TypeVariable<?>, Type> known) {
        List<Type> parents = new ArrayList<Type>();
        Collections.addAll(parents, type.getGenericInterfaces());
        if (type.getGenericSuperclass() != null) parents.add(type.getGenericSuperclass());
        for (Type parent : parents) {
            Class<?> raw = Mapper.raw(parent);
            if (!target.isAssignableFrom(raw)) continue;
            if (!(parent instanceof ParameterizedType)) {
                if (raw == target) return null;
                Type[] found = arguments(raw, target, new HashMap<TypeVariable<?>, Type>());
                if (found != null) return found;
                continue;
            }
            Type[] given = ((ParameterizedType) parent).getActualTypeArguments().clone();
            for (int i = 0; i < given.length; i++) {
                if (known.containsKey(given[i])) given[i] = known.get(given[i]);
            }
            if (raw == target) return given;
            Map<TypeVariable<?>, Type> variables = new HashMap<TypeVariable<?>, Type>();
            for (int i = 0; i < given.length; i++) variables.put(raw.getTypeParameters()[i], given[i]);
            return arguments(raw, target, variables);
        }
        return null;
    }

    private static Object create(Class<?> type) {
        Constructor<?> constructor;
        try {
            constructor = type.getConstructor();
        } catch (NoSuchMethodException e) {
            boolean inner = type.getEnclosingClass() != null && !Modifier.isStatic(type.getModifiers());
            StringBuilder text = new StringBuilder("Class ").append(type.getName());
            text.append(inner ? " cannot be instantiated because it is a non-static inner class" : " has no public zero-argument constructor");
            throw Failure.fault(text.toString(), new Exception(text.toString(), inner ? null : e), false);
        }
        try {
            // A class need not be public to be a handler, only its constructor.
            if (!Modifier.isPublic(type.getModifiers())) constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (InvocationTargetException e) {
            Throwable thrown = e.getCause() == null ? e : e.getCause();
            throw Failure.fault(Failure.message(thrown), thrown, true);
        } catch (ReflectiveOperationException e) {
            throw Failure.fault(Failure.message(e), e, false);
        }
    }

    // ---- methods ----

    private static boolean isContext(Type type) {
        return type instanceof Class && ((Class<?>) type).getName().equals(CONTEXT);
    }

    /** Methods of the compiler's making last; else the longer first, where a Context in the last place counts for one more. */
    private static final class Priority implements Comparator<Method> {
        @Override
        public int compare(Method a, Method b) {
            if (a.isBridge() != b.isBridge()) return a.isBridge() ? 1 : -1;
            return length(b) - length(a);
        }

        private static int length(Method method) {
            Class<?>[] types = method.getParameterTypes();
            return types.length + (types.length > 0 && isContext(types[types.length - 1]) ? 1 : 0);
        }
    }

    private void byMethod(Class<?> type, String name) {
        List<Method> methods = new ArrayList<Method>();
        try {
            for (Method one : type.getMethods()) {
                if (one.getName().equals(name)) methods.add(one);
            }
        } catch (NoClassDefFoundError e) {
            throw Failure.fault(new StringBuilder("Error loading method ").append(name).append(" on class ").append(type.getName()).toString(), e, false);
        }
        Collections.sort(methods, new Priority());
        for (Method one : methods) {
            if (!take(one)) continue;
            method = one;
            if (!Modifier.isPublic(one.getDeclaringClass().getModifiers())) one.setAccessible(true);
            instance = Modifier.isStatic(one.getModifiers()) ? null : create(type);
            return;
        }
        throw Failure.fault(new StringBuilder("No public method named ").append(name)
                .append(" with appropriate method signature found on class ").append(type.getName()).toString());
    }

    /** Takes over the shape of a method, if it is one of AWS's. */
    private boolean take(Method one) {
        Type[] types = one.getGenericParameterTypes();
        int count = types.length;
        boolean last = count > 0 && isContext(types[count - 1]);
        if (last) count--;
        boolean in = count > 0 && types[0] == InputStream.class;
        boolean out = count > 0 && types[count - 1] == OutputStream.class;
        boolean streams = (in || out) && count == (in ? 1 : 0) + (out ? 1 : 0);
        boolean value = count == 1 && !in && !out && !isContext(types[0]);
        if (!streams && !value && count != 0) {
            System.err.println(new StringBuilder("Ignoring an overload of method ").append(one.getName())
                    .append(" because its parameters are not those of a handler").toString());
            return false;
        }
        context = last ? (Class<?>) types[types.length - 1] : null;
        takesIn = in;
        takesOut = out;
        input = value ? types[0] : null;
        output = one.getGenericReturnType();
        return true;
    }

    // ---- calling ----

    /** The answer to an event. Throws what the user's code throws. */
    byte[] call(Client.Event event) throws Throwable {
        if (wrong != null) throw wrong;
        ByteArrayOutputStream out = new ByteArrayOutputStream(takesOut ? 1024 : 0);
        Object[] arguments = new Object[method.getParameterTypes().length];
        int count = 0;
        if (takesIn) arguments[count++] = new ByteArrayInputStream(event.body);
        if (takesOut) arguments[count++] = out;
        if (input != null) arguments[count++] = readInput(event.body);
        if (context != null) arguments[count] = Contexts.make(event, context, logger);
        Object result;
        try {
            result = method.invoke(instance, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause() == null ? e : e.getCause();
        }
        if (takesOut) return out.toByteArray();
        return takesIn || output == void.class || output == Void.class ? NULL : writeOutput(result);
    }

    private Object readInput(byte[] body) {
        try {
            if (serializer != null) return serializer.read(body, input);
            return Mapper.read(new String(body, StandardCharsets.UTF_8), input);
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON parsing", e);
        }
    }

    private byte[] writeOutput(Object result) {
        try {
            if (serializer != null) return serializer.write(result, output);
            return Mapper.write(result).getBytes(StandardCharsets.UTF_8);
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON serialization of response", e);
        }
    }
}

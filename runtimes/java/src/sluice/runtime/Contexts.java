// SPDX-License-Identifier: Apache-2.0
//
// Contexts: the Context object of a handler. The interface (com.amazonaws:aws-lambda-java-core) comes with the user's code, so
// it is implemented by a proxy that answers by the names of its methods; methods of later versions that we do not know answer
// null. The same for LambdaLogger, CognitoIdentity, ClientContext and Client.
package sluice.runtime;

import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.Collections;
import java.util.Map;

final class Contexts implements InvocationHandler {
    static final String PACKAGE = "com.amazonaws.services.lambda.runtime.";

    private final Client.Event event;
    private final Class<?> type; // Context
    private final Object logger;
    private Object identity;
    private Object client;

    private Contexts(Client.Event event, Class<?> type, Object logger) {
        this.event = event;
        this.type = type;
        this.logger = logger;
    }

    /** A Context for one event. `context` is the user's interface, `logger` what logger() made for it. */
    static Object make(Client.Event event, Class<?> context, Object logger) {
        return proxy(context, new Contexts(event, context, logger));
    }

    private static Object proxy(Class<?> type, InvocationHandler handler) {
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
    }

    private static Class<?> sibling(Class<?> context, String name) {
        try {
            return Class.forName(PACKAGE.concat(name), true, context.getClassLoader());
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    /** The LambdaLogger of the user's library, also given to its LambdaRuntime.getLogger(), which log libraries ask. */
    static Object logger(Class<?> context) {
        Class<?> type = sibling(context, "LambdaLogger");
        if (type == null) return null;
        Object logger = proxy(type, new Logger());
        Class<?> runtime = sibling(context, "LambdaRuntime");
        if (runtime == null) return logger;
        try {
            Field field = runtime.getDeclaredField("logger");
            if (!Modifier.isFinal(field.getModifiers())) {
                field.setAccessible(true);
                field.set(null, logger);
            }
        } catch (ReflectiveOperationException | RuntimeException e) {
            return logger; // a version without that field keeps its own, which prints as well
        }
        return logger;
    }

    private static final class Logger implements InvocationHandler {
        @Override
        public Object invoke(Object proxy, Method method, Object[] arguments) {
            if (!"log".equals(method.getName())) return object(this, proxy, method, arguments);
            String level = arguments.length > 1 && arguments[1] != null ? arguments[1].toString() : "UNDEFINED";
            if (arguments[0] instanceof byte[]) Logs.log((byte[]) arguments[0], level);
            else Logs.log((String) arguments[0], level);
            return null;
        }
    }

    /** Getters by the members of a JSON object: getAppTitle answers app_title or appTitle. */
    private static final class Members implements InvocationHandler {
        private final Map<?, ?> members;

        Members(Map<?, ?> members) {
            this.members = members;
        }

        @Override
        public Object invoke(Object proxy, Method method, Object[] arguments) {
            String name = method.getName();
            if (!name.startsWith("get") || name.equals("getClass")) return object(this, proxy, method, arguments);
            StringBuilder snake = new StringBuilder();
            for (int i = 3; i < name.length(); i++) {
                char c = name.charAt(i);
                if (Character.isUpperCase(c) && i > 3) snake.append('_');
                snake.append(Character.toLowerCase(c));
            }
            Object value = members.get(snake.toString());
            if (value == null) value = members.get(Mapper.decapitalize(name.substring(3)));
            return value == null ? null : value.toString();
        }
    }

    /** toString, hashCode and equals of a proxy; what else there is has no answer. */
    private static Object object(InvocationHandler handler, Object proxy, Method method, Object[] arguments) {
        String name = method.getName();
        if (name.equals("toString")) return proxy.getClass().getInterfaces()[0].getSimpleName();
        if (name.equals("hashCode")) return System.identityHashCode(handler);
        if (name.equals("equals")) return proxy == arguments[0];
        Class<?> type = method.getReturnType();
        if (type == boolean.class) return false;
        if (type == int.class) return 0;
        return type == long.class ? (Object) 0L : null;
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] arguments) {
        switch (method.getName()) {
        case "getAwsRequestId": return event.requestId();
        case "getLogGroupName": return System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
        case "getLogStreamName": return System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
        case "getFunctionName": return System.getenv("AWS_LAMBDA_FUNCTION_NAME");
        case "getFunctionVersion": return System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
        case "getInvokedFunctionArn": return event.header("lambda-runtime-invoked-function-arn");
        case "getTenantId": return event.header("lambda-runtime-aws-tenant-id");
        case "getXrayTraceId": return event.header("lambda-runtime-trace-id");
        case "getRemainingTimeInMillis": return remaining();
        case "getMemoryLimitInMB": return number(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
        case "getLogger": return logger;
        case "getIdentity": return identity();
        case "getClientContext": return client();
        default: return object(this, proxy, method, arguments);
        }
    }

    private static int number(String text) {
        return text == null || text.isEmpty() ? 0 : Integer.parseInt(text);
    }

    private int remaining() {
        String deadline = event.header("lambda-runtime-deadline-ms");
        long left = deadline == null ? 0 : Long.parseLong(deadline) - System.currentTimeMillis();
        return left < 0 ? 0 : (int) Math.min(left, Integer.MAX_VALUE);
    }

    private Object identity() {
        String text = event.header("lambda-runtime-cognito-identity");
        if (identity != null || text == null) return identity;
        Map<?, ?> members = (Map<?, ?>) Json.parse(text, false);
        final Object id = members.get("cognitoIdentityId");
        final Object pool = members.get("cognitoIdentityPoolId");
        identity = proxy(sibling(type, "CognitoIdentity"), new InvocationHandler() {
            @Override
            public Object invoke(Object proxy, Method method, Object[] arguments) {
                if (method.getName().equals("getIdentityId")) return id;
                return method.getName().equals("getIdentityPoolId") ? pool : object(this, proxy, method, arguments);
            }
        });
        return identity;
    }

    private Object client() {
        String text = event.header("lambda-runtime-client-context");
        if (client != null || text == null) return client;
        final Map<?, ?> members = (Map<?, ?>) Json.parse(text, false);
        final Object about = members.get("client") instanceof Map
                ? proxy(sibling(type, "Client"), new Members((Map<?, ?>) members.get("client"))) : null;
        client = proxy(sibling(type, "ClientContext"), new InvocationHandler() {
            @Override
            public Object invoke(Object proxy, Method method, Object[] arguments) {
                switch (method.getName()) {
                case "getClient": return about;
                case "getCustom": return members.get("custom");
                case "getEnvironment": return members.get("env") == null ? Collections.emptyMap() : members.get("env");
                default: return object(this, proxy, method, arguments);
                }
            }
        });
        return client;
    }
}

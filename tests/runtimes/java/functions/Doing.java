// SPDX-License-Identifier: Apache-2.0
//
// One handler that does what its event says: contexts, logs, failures, the environment.
package functions;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

public class Doing implements RequestHandler<Map<String, Object>, Object> {
    static class Odd extends RuntimeException {
        @Override
        public String getMessage() {
            throw new IllegalStateException("no message");
        }
    }

    @Override
    public Object handleRequest(Map<String, Object> event, Context c) {
        switch ((String) event.get("do")) {
        case "context":
            return Arrays.asList(c.getFunctionName(), c.getFunctionVersion(), c.getMemoryLimitInMB(), c.getLogGroupName(), c.getLogStreamName(),
                    c.getAwsRequestId(), c.getInvokedFunctionArn(), c.getTenantId(), c.getRemainingTimeInMillis(), c.ofALaterVersion(),
                    System.getProperty("com.amazonaws.xray.traceHeader"), c.equals(c), c.toString());
        case "client":
            return Arrays.asList(c.getIdentity() == null ? null : c.getIdentity().getIdentityId(),
                    c.getIdentity() == null ? null : c.getIdentity().getIdentityPoolId(),
                    c.getClientContext() == null ? null : c.getClientContext().getCustom(),
                    c.getClientContext() == null ? null : c.getClientContext().getEnvironment(),
                    c.getClientContext() == null ? null : c.getClientContext().getClient().getAppTitle());
        case "throw":
            return fail((String) event.get("message"));
        case "cause":
            try {
                return fail("inner");
            } catch (IllegalArgumentException e) {
                throw new RuntimeException("outer", e);
            }
        case "odd":
            throw new Odd();
        case "memory":
            List<byte[]> all = new ArrayList<>();
            while (true) all.add(new byte[1 << 20]);
        case "stack":
            return deeper(0);
        case "exit":
            System.out.print("last words");
            System.exit(3);
            return null;
        case "log":
            log(c.getLogger());
            return null;
        case "print":
            System.out.println("one é");
            System.out.println("two");
            System.err.println("to stderr");
            System.out.print("part");
            return null;
        case "wait":
            System.out.println("waiting");
            try {
                Thread.sleep(1000000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return null;
        case "interrupt":
            Thread.currentThread().interrupt();
            return "interrupted";
        case "env":
            return System.getenv((String) event.get("name"));
        case "loader":
            return Thread.currentThread().getContextClassLoader() == Doing.class.getClassLoader();
        default:
            return "x".repeat(((Number) event.get("size")).intValue());
        }
    }

    private static Object fail(String message) {
        throw new IllegalArgumentException(message);
    }

    private static int deeper(int depth) {
        return deeper(depth + 1) + 1;
    }

    private static void log(LambdaLogger logger) {
        logger.log("plain é");
        logger.log("bytes".getBytes());
        logger.log("detail", LogLevel.DEBUG);
        logger.log("careful", LogLevel.WARN);
        logger.log("two\nlines\n", LogLevel.ERROR);
        LambdaRuntime.getLogger().log("by the runtime");
    }

    // Runs only where META-INF/services names it.
    public static class Own implements com.amazonaws.services.lambda.runtime.CustomPojoSerializer {
        @Override
        @SuppressWarnings("unchecked")
        public <T> T fromJson(java.io.InputStream input, java.lang.reflect.Type type) {
            return (T) java.util.Collections.singletonMap("do", "env");
        }

        @Override
        public <T> T fromJson(String input, java.lang.reflect.Type type) {
            throw new UnsupportedOperationException();
        }

        @Override
        public <T> void toJson(T value, java.io.OutputStream output, java.lang.reflect.Type type) {
            try {
                output.write(("own " + type + " " + value).getBytes("UTF-8"));
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// The function of tests/blackbox/test_interface_clients.py over AWS's own client for Java: does what its event's "do" says.

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

public class App implements RequestHandler<Object, Object> {
    private int count;

    private static Object fail(String message) {
        throw new IllegalArgumentException(message);
    }

    private static Object context(Context context) {
        return Map.of("id", context.getAwsRequestId(), "name", context.getFunctionName(), "arn",
            context.getInvokedFunctionArn(), "memory", context.getMemoryLimitInMB(), "left",
            context.getRemainingTimeInMillis(), "group", context.getLogGroupName(), "version",
            context.getFunctionVersion());
    }

    @Override
    public Object handleRequest(Object event, Context context) {
        count++;
        Object what = event instanceof Map ? ((Map<?, ?>) event).get("do") : null;
        switch (what instanceof String ? (String) what : "") {
        case "fail":
            return fail("n\u00f6");
        case "sleep":
            try {
                Thread.sleep(60000);
            } catch (InterruptedException early) {
                return null;
            }
            return event;
        case "exit":
            Runtime.getRuntime().halt(3);
            return null;
        case "log":
            context.getLogger().log("written \u00e9\ud83d\ude00");
            return event;
        case "count":
            return Map.of("count", count, "stream", context.getLogStreamName(), "pid", ProcessHandle.current().pid());
        case "context":
            return context(context);
        default:
            return event;
        }
    }
}

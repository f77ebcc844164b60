// SPDX-License-Identifier: Apache-2.0
//
// The function of test_seven_languages.py, in Java: does what its event says.
package seven;

import java.util.Map;

public class Function {
    private static int count;

    private static Object fail(String message) {
        throw new IllegalArgumentException(message);
    }

    public Object handle(Map<String, Object> event) throws InterruptedException {
        count++;
        Object value = event.get("value");
        System.out.println("doing " + event.get("do"));
        switch ((String) event.get("do")) {
        case "echo":
            return value;
        case "env":
            return System.getenv((String) value);
        case "count":
            return count;
        case "sleep":
            Thread.sleep(1000000);
            return null;
        default:
            return fail((String) value);
        }
    }
}

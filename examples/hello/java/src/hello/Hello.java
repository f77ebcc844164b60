// SPDX-License-Identifier: Apache-2.0
//
// Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada).
package hello;

import java.util.LinkedHashMap;
import java.util.Map;

public class Hello {
    public Map<String, String> handle(Map<String, Object> event) {
        Object query = event.get("queryStringParameters");
        Map<?, ?> parameters = query instanceof Map ? (Map<?, ?>) query : event;
        Object name = parameters.get("name");
        Map<String, String> answer = new LinkedHashMap<>();
        answer.put("message", "Hello, " + (name == null ? "world" : name) + "!");
        answer.put("runtime", "java");
        return answer;
    }
}

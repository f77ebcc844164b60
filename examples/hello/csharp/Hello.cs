// SPDX-License-Identifier: Apache-2.0
//
// Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada).
using System.Collections.Generic;

namespace Hello
{
    public class Event
    {
        public string Name { get; set; }
        public Dictionary<string, string> QueryStringParameters { get; set; } // there if the URL had a query
    }

    public class Function
    {
        public Dictionary<string, string> Handle(Event input)
        {
            string name = input.Name;
            if (input.QueryStringParameters != null) input.QueryStringParameters.TryGetValue("name", out name);
            return new Dictionary<string, string> { { "message", "Hello, " + (name ?? "world") + "!" }, { "runtime", "csharp" } };
        }
    }
}

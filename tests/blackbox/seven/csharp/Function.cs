// SPDX-License-Identifier: Apache-2.0
//
// The function of test_seven_languages.py, in C#: does what its event says.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Seven
{
    public class Function
    {
        static int count;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static object Fail(string message)
        {
            throw new InvalidOperationException(message);
        }

        public object Handle(Dictionary<string, object> input)
        {
            count++;
            object value;
            input.TryGetValue("value", out value);
            Console.WriteLine("doing " + input["do"]);
            switch ((string)input["do"])
            {
                case "echo":
                    return value;
                case "env":
                    return Environment.GetEnvironmentVariable((string)value);
                case "count":
                    return count;
                case "sleep":
                    Thread.Sleep(Timeout.Infinite);
                    return null;
                default:
                    return Fail((string)value);
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// A function with SnapStart's hooks: answers which of them ran, in their order. Some end at once, some later.
using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace Seven
{
    public class Hooks
    {
        static readonly List<string> steps = new List<string> { "init" };

        public Hooks()
        {
            foreach (string number in new[] { "1", "2" })
            {
                string name = number;
                SnapshotRestore.RegisterBeforeSnapshot(() => Run("before " + name));
                SnapshotRestore.RegisterAfterRestore(() => new ValueTask(RunLater("after " + name)));
            }
        }

        static ValueTask Run(string step)
        {
            steps.Add(step);
            Console.WriteLine("hook " + step);
            if (step == Environment.GetEnvironmentVariable("FAILS")) throw new InvalidOperationException(step + " fails");
            return new ValueTask();
        }

        static async Task RunLater(string step)
        {
            await Task.Delay(1);
            await Run(step);
        }

        public List<string> Handle(Dictionary<string, object> input)
        {
            return steps;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Stands in for what Amazon.Lambda.Core has for SnapStart, which functions bring along: the same names and signatures.
using System;
using System.Collections.Concurrent;
using System.Threading.Tasks;

namespace Amazon.Lambda.Core
{
    public static class SnapshotRestore
    {
        static readonly ConcurrentQueue<Func<ValueTask>> before = new ConcurrentQueue<Func<ValueTask>>();
        static readonly ConcurrentQueue<Func<ValueTask>> after = new ConcurrentQueue<Func<ValueTask>>();

        public static void RegisterBeforeSnapshot(Func<ValueTask> hook)
        {
            before.Enqueue(hook);
        }

        public static void RegisterAfterRestore(Func<ValueTask> hook)
        {
            after.Enqueue(hook);
        }

        static void Hand(ConcurrentQueue<Func<ValueTask>> hooks, Action<Func<ValueTask>> receiver)
        {
            Func<ValueTask> hook;
            while (hooks.TryDequeue(out hook)) receiver(hook);
        }

        internal static void CopyBeforeSnapshotCallbacksToRegistry(Action<Func<ValueTask>> receiver)
        {
            Hand(before, receiver);
        }

        internal static void CopyAfterRestoreCallbacksToRegistry(Action<Func<ValueTask>> receiver)
        {
            Hand(after, receiver);
        }
    }
}

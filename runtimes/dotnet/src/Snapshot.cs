// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: SnapStart, between the function's init and its first event (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start). What the
// function registered with Amazon.Lambda.Core.SnapshotRestore runs before the snapshot, newest first, and after the restore,
// oldest first; between the two this process waits, frozen, in restore/next. The library comes with the function, in whatever
// version, and hands its hooks to who asks as AWS's runtime does, so it is reached by reflection. A failure is logged,
// reported, and ends the process. Types are those of AWS's client.
using System;
using System.Collections.Generic;
using System.Reflection;
using System.Threading.Tasks;

namespace Sluice.Runtime
{
    static class Snapshot
    {
        const string Library = "Amazon.Lambda.Core";

        sealed class Hooks
        {
            public readonly List<Delegate> All = new List<Delegate>();

            /// <summary>Gets each hook, a Func of ValueTask, from the library.</summary>
            public void Add(object hook)
            {
                All.Add((Delegate)hook);
            }
        }

        public static bool Wanted
        {
            get { return Environment.GetEnvironmentVariable("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"; }
        }

        /// <summary>The function's, in the order of registration; none when its library is older than SnapStart, or not there.</summary>
        static List<Delegate> Take(string method)
        {
            var hooks = new Hooks();
            foreach (Assembly assembly in AppDomain.CurrentDomain.GetAssemblies())
            {
                if (assembly.GetName().Name != Library) continue;
                Type registry = assembly.GetType(Library + ".SnapshotRestore");
                MethodInfo copy = registry == null ? null : registry.GetMethod(method, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic);
                if (copy == null) continue;
                Type receiver = copy.GetParameters()[0].ParameterType; // Action<Func<ValueTask>>
                copy.Invoke(null, new object[] { Delegate.CreateDelegate(receiver, hooks, typeof(Hooks).GetMethod("Add")) });
            }
            return hooks.All;
        }

        /// <summary>Ends when its task does. What it throws is thrown.</summary>
        static void Run(Delegate hook)
        {
            object result;
            try
            {
                result = hook.DynamicInvoke();
            }
            catch (TargetInvocationException e)
            {
                throw new Thrown(e.InnerException);
            }
            MethodInfo asTask = result == null ? null : result.GetType().GetMethod("AsTask", Type.EmptyTypes);
            var task = asTask == null ? result as Task : (Task)asTask.Invoke(result, null);
            try
            {
                if (task != null) task.GetAwaiter().GetResult();
            }
            catch (Exception e)
            {
                throw new Thrown(e);
            }
        }

        /// <summary>Returns null in an environment that was restored, else why there is none.</summary>
        static Exception RunAll(List<Delegate> hooks)
        {
            try
            {
                foreach (Delegate hook in hooks) Run(hook);
                return null;
            }
            catch (Exception e)
            {
                return e is Thrown ? e.InnerException : e;
            }
        }

        static bool Failed(Client client, Exception exception, string path, string type)
        {
            if (exception == null) return false;
            Logs.Unhandled(exception);
            client.PostLast(path, Failure.Body(exception), type);
            return true;
        }

        /// <summary>False: a hook failed, and the process is to end.</summary>
        public static bool TakePlace(Client client)
        {
            List<Delegate> before = Take("CopyBeforeSnapshotCallbacksToRegistry");
            before.Reverse();
            if (Failed(client, RunAll(before), "init/error", "Runtime.BeforeSnapshotError")) return false;
            GC.Collect(); // a snapshot without garbage
            Console.Out.Flush();
            client.Restore();
            return !Failed(client, RunAll(Take("CopyAfterRestoreCallbacksToRegistry")), "restore/error", "Runtime.AfterRestoreError");
        }
    }
}

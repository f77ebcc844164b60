// SPDX-License-Identifier: Apache-2.0
//
// Entry point of Sluice's .NET runtime:
//
//     mono /var/runtime/dotnet/build/sluice-runtime.exe              # handler from _HANDLER (or the first argument)
//     dotnet exec --runtimeconfig .../sluice-runtime.runtimeconfig.json .../sluice-runtime.exe
//
// It finds the handler in the user's assembly and serves events until the process is ended from outside or by the user's code. A
// handler without "::" is a program of the user's that speaks the Runtime API itself (Amazon.Lambda.RuntimeSupport): it is run.
//
// One thread. Between Client.Next and Client.Settle exactly one invocation is under way.
using System;
using System.IO;
using System.Reflection;
using System.Threading.Tasks;

namespace Sluice.Runtime
{
    static class Program
    {
        /// <summary>Assemblies beside the function's, and, whatever version is asked for, those the language has.</summary>
        static Assembly Resolve(object sender, ResolveEventArgs arguments)
        {
            string name = new AssemblyName(arguments.Name).Name;
            string runtime = Path.GetDirectoryName(typeof(object).Assembly.Location);
            foreach (string folder in new[] { Handler.Root, runtime, Path.Combine(runtime, "Facades") })
            {
                string path = Path.Combine(folder, name + ".dll");
                if (File.Exists(path)) return Assembly.LoadFrom(path);
            }
            return null;
        }

        /// <summary>Runs the user's Main; gives the exit status.</summary>
        static int RunProgram(Assembly assembly)
        {
            MethodInfo main = assembly.EntryPoint;
            object result = main.Invoke(null, main.GetParameters().Length == 0 ? null : new object[] { new string[0] });
            var task = result as Task;
            if (task != null) task.Wait();
            var number = task as Task<int>;
            if (number != null) return number.Result;
            return result is int ? (int)result : 0;
        }

        static Exception Real(Exception exception)
        {
            while ((exception is Thrown || exception is TargetInvocationException) && exception.InnerException != null) exception = exception.InnerException;
            return exception;
        }

        static void Serve(Client client, Handler handler)
        {
            string trace = null;
            while (true)
            {
                Event current = client.Next();
                Logs.RequestId = current.RequestId;
                string given = current.Header("Lambda-Runtime-Trace-Id");
                if (given != trace) Environment.SetEnvironmentVariable("_X_AMZN_TRACE_ID", trace = given);
                string path = "invocation/" + current.RequestId;
                byte[] answer;
                string errorType = null;
                try
                {
                    answer = handler.Call(current);
                }
                catch (Exception e)
                {
                    Exception real = e is Thrown ? e.InnerException : e;
                    Logs.Unhandled(real);
                    answer = Failure.Body(real);
                    errorType = Failure.HeaderType(real);
                }
                client.Settle(path + (errorType == null ? "/response" : "/error"), answer, errorType);
            }
        }

        static int Run(string name)
        {
            AppDomain.CurrentDomain.AssemblyResolve += Resolve;
            Handler.Root = Environment.GetEnvironmentVariable("LAMBDA_TASK_ROOT") ?? Handler.Root;
            var client = new Client(Environment.GetEnvironmentVariable("AWS_LAMBDA_RUNTIME_API"));
            Handler handler;
            try
            {
                if (name.Length > 0 && !name.Contains("::"))
                {
                    Assembly program = Handler.Load(name);
                    if (program.EntryPoint != null) return RunProgram(program);
                }
                Logs.Install();
                handler = new Handler(name);
            }
            catch (Exception e)
            {
                Exception real = Real(e);
                Logs.Unhandled(real);
                client.PostLast("init/error", Failure.Body(real), Failure.HeaderType(real));
                return 1;
            }
            if (Snapshot.Wanted && !Snapshot.TakePlace(client)) return 1;
            Serve(client, handler);
            return 0;
        }

        static int Main(string[] arguments)
        {
            try
            {
                if (Environment.GetEnvironmentVariable("SLUICE_BLANK") != null) Blank.Wait();
                int status = Run(arguments.Length > 0 ? arguments[0] : Environment.GetEnvironmentVariable("_HANDLER") ?? "");
                Console.Out.Flush();
                return status;
            }
            catch (RefusedException e)
            {
                Console.Error.WriteLine("[ERROR] Runtime.LambdaRuntimeClientError: " + e.Message);
                return 1;
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Proxies: objects of the interfaces of Amazon.Lambda.Core. That library comes with the user's code, in whatever version, so a
// class that implements the interface is made at run time: every method hands its name and arguments to a delegate. What we have
// no answer for (members of later versions) is null, or the zero of its type.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;

namespace Sluice.Runtime
{
    static class Proxies
    {
        static readonly Dictionary<Type, Type> made = new Dictionary<Type, Type>();
        static ModuleBuilder module;

        /// <summary>An object of the interface; `answer` gets a method's name (get_X for properties) and arguments.</summary>
        public static object Make(Type face, Func<string, object[], object> answer)
        {
            Type type;
            if (!made.TryGetValue(face, out type)) made[face] = type = Build(face);
            return Activator.CreateInstance(type, new object[] { answer });
        }

        static Type Build(Type face)
        {
            if (module == null)
            {
                AssemblyBuilder assembly = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName("Sluice.Runtime.Proxies"), AssemblyBuilderAccess.Run);
                module = assembly.DefineDynamicModule("Sluice.Runtime.Proxies");
            }
            TypeBuilder builder = module.DefineType("Sluice.Runtime.Proxies." + face.FullName, TypeAttributes.Public | TypeAttributes.Sealed, typeof(object), new[] { face });
            FieldBuilder answer = builder.DefineField("answer", typeof(Func<string, object[], object>), FieldAttributes.Private);
            ILGenerator code = builder.DefineConstructor(MethodAttributes.Public, CallingConventions.Standard, new[] { answer.FieldType }).GetILGenerator();
            code.Emit(OpCodes.Ldarg_0);
            code.Emit(OpCodes.Call, typeof(object).GetConstructor(Type.EmptyTypes));
            code.Emit(OpCodes.Ldarg_0);
            code.Emit(OpCodes.Ldarg_1);
            code.Emit(OpCodes.Stfld, answer);
            code.Emit(OpCodes.Ret);
            Implement(builder, answer, face);
            foreach (Type parent in face.GetInterfaces()) Implement(builder, answer, parent);
            return builder.CreateType();
        }

        static void Implement(TypeBuilder builder, FieldBuilder answer, Type face)
        {
            foreach (MethodInfo method in face.GetMethods(BindingFlags.Public | BindingFlags.Instance))
            {
                if (method.IsGenericMethodDefinition)
                {
                    if (method.IsAbstract) throw new NotSupportedException("Cannot implement the generic method " + method + " of " + face.FullName + ".");
                    continue; // it has a body of its own
                }
                ParameterInfo[] parameters = method.GetParameters();
                Type[] types = Array.ConvertAll(parameters, delegate (ParameterInfo parameter) { return parameter.ParameterType; });
                MethodAttributes attributes = MethodAttributes.Private | MethodAttributes.Virtual | MethodAttributes.Final | MethodAttributes.HideBySig | MethodAttributes.NewSlot;
                MethodBuilder own = builder.DefineMethod(face.FullName + "." + method.Name, attributes, method.ReturnType, types);
                Emit(own.GetILGenerator(), answer, method, types);
                builder.DefineMethodOverride(own, method);
            }
        }

        static void Emit(ILGenerator code, FieldBuilder answer, MethodInfo method, Type[] types)
        {
            code.Emit(OpCodes.Ldarg_0);
            code.Emit(OpCodes.Ldfld, answer);
            code.Emit(OpCodes.Ldstr, method.Name);
            code.Emit(OpCodes.Ldc_I4, types.Length);
            code.Emit(OpCodes.Newarr, typeof(object));
            for (int i = 0; i < types.Length; i++)
            {
                if (types[i].IsByRef) continue;
                code.Emit(OpCodes.Dup);
                code.Emit(OpCodes.Ldc_I4, i);
                code.Emit(OpCodes.Ldarg, (short)(i + 1));
                if (types[i].IsValueType) code.Emit(OpCodes.Box, types[i]);
                code.Emit(OpCodes.Stelem_Ref);
            }
            code.Emit(OpCodes.Callvirt, answer.FieldType.GetMethod("Invoke"));
            if (method.ReturnType == typeof(void))
            {
                code.Emit(OpCodes.Pop);
            }
            else if (method.ReturnType.IsValueType)
            {
                Label there = code.DefineLabel();
                LocalBuilder zero = code.DeclareLocal(method.ReturnType);
                code.Emit(OpCodes.Dup);
                code.Emit(OpCodes.Brtrue, there);
                code.Emit(OpCodes.Pop);
                code.Emit(OpCodes.Ldloc, zero);
                code.Emit(OpCodes.Ret);
                code.MarkLabel(there);
                code.Emit(OpCodes.Unbox_Any, method.ReturnType);
            }
            else
            {
                code.Emit(OpCodes.Castclass, method.ReturnType);
            }
            code.Emit(OpCodes.Ret);
        }
    }

    /// <summary>ILambdaContext and what hangs on it, for one event.</summary>
    sealed class Context
    {
        readonly Event current;
        readonly Type face;
        static object logger;

        Context(Event current, Type face)
        {
            this.current = current;
            this.face = face;
        }

        /// <summary>face: the ILambdaContext of the user's library.</summary>
        public static object Make(Event current, Type face)
        {
            return Proxies.Make(face, new Context(current, face).Answer);
        }

        object Answer(string method, object[] arguments)
        {
            switch (method)
            {
                case "get_AwsRequestId": return current.RequestId;
                case "get_FunctionName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_NAME");
                case "get_FunctionVersion": return Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_VERSION");
                case "get_LogGroupName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_GROUP_NAME");
                case "get_LogStreamName": return Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_STREAM_NAME");
                case "get_InvokedFunctionArn": return current.Header("Lambda-Runtime-Invoked-Function-Arn");
                case "get_TenantId": return current.Header("Lambda-Runtime-Aws-Tenant-Id");
                case "get_TraceId": return current.Header("Lambda-Runtime-Trace-Id");
                case "get_MemoryLimitInMB": return Memory();
                case "get_RemainingTime": return Remaining();
                case "get_Logger": return logger ?? (logger = Proxies.Make(TypeOf("Logger"), Log));
                case "get_Identity": return Identity();
                case "get_ClientContext": return Client();
                default: return null;
            }
        }

        static object Log(string method, object[] arguments)
        {
            Logs.Call(method, arguments);
            return null;
        }

        Type TypeOf(string property)
        {
            return face.GetProperty(property).PropertyType;
        }

        static object Memory()
        {
            int memory;
            return int.TryParse(Environment.GetEnvironmentVariable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), NumberStyles.None, CultureInfo.InvariantCulture, out memory) ? memory : 0;
        }

        object Remaining()
        {
            long deadline;
            if (!long.TryParse(current.Header("Lambda-Runtime-Deadline-Ms"), NumberStyles.None, CultureInfo.InvariantCulture, out deadline)) return TimeSpan.Zero;
            TimeSpan left = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddMilliseconds(deadline) - DateTime.UtcNow;
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }

        object Identity()
        {
            var members = Parsed("Lambda-Runtime-Cognito-Identity");
            if (members == null) return null;
            return Proxies.Make(TypeOf("Identity"), delegate (string method, object[] arguments)
            {
                return Text(members, method == "get_IdentityId" ? "cognitoIdentityId" : method == "get_IdentityPoolId" ? "cognitoIdentityPoolId" : "");
            });
        }

        object Client()
        {
            var members = Parsed("Lambda-Runtime-Client-Context");
            if (members == null) return null;
            Type type = TypeOf("ClientContext");
            return Proxies.Make(type, delegate (string method, object[] arguments)
            {
                switch (method)
                {
                    case "get_Custom": return Texts(members, "custom");
                    case "get_Environment": return Texts(members, "env");
                    case "get_Client": return About(members, type.GetProperty("Client").PropertyType);
                    default: return null;
                }
            });
        }

        static object About(Dictionary<string, object> members, Type type)
        {
            object value;
            var about = members.TryGetValue("client", out value) ? value as Dictionary<string, object> : null;
            if (about == null) return null;
            return Proxies.Make(type, delegate (string method, object[] arguments)
            {
                // get_AppTitle answers app_title or AppTitle.
                string name = method.Substring(4), snake = "";
                foreach (char c in name) snake += (char.IsUpper(c) && snake.Length > 0 ? "_" : "") + char.ToLowerInvariant(c);
                return Text(about, snake) ?? Text(about, name);
            });
        }

        Dictionary<string, object> Parsed(string header)
        {
            string text = current.Header(header);
            return text == null ? null : Json.Parse(text) as Dictionary<string, object>;
        }

        static string Text(Dictionary<string, object> members, string name)
        {
            object value;
            return members.TryGetValue(name, out value) ? value as string : null;
        }

        static object Texts(Dictionary<string, object> members, string name)
        {
            object value;
            var result = new Dictionary<string, string>();
            var inner = members.TryGetValue(name, out value) ? value as Dictionary<string, object> : null;
            if (inner == null) return result;
            foreach (KeyValuePair<string, object> member in inner)
            {
                var number = member.Value as Number;
                result[member.Key] = number != null ? number.Text : member.Value as string ?? Mapper.Write(member.Value);
            }
            return result;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Handler: finds what "Assembly::Namespace.Type::Method" names in the user's code, and calls it. Forms and messages are AWS's: at
// most one value (a Stream, or any type) and an ILambdaContext after it; the result is void, a Stream, any type, or a Task of these.
// Values go through the serializer that LambdaSerializerAttribute names on the method or the assembly, else through our Mapper.
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Tasks;

namespace Sluice.Runtime
{
    sealed class Handler
    {
        const BindingFlags Any = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        const string ContextName = "Amazon.Lambda.Core.ILambdaContext";

        readonly MethodInfo method;
        readonly object instance;
        readonly Type input;   // of the value; null when it takes none
        readonly Type context; // the user's ILambdaContext, when it takes one
        readonly Type output;  // null for none
        readonly object serializer;
        readonly MethodInfo read, write;

        static LambdaValidationException Invalid(string format, params object[] values)
        {
            return new LambdaValidationException(string.Format(format, values));
        }

        /// <summary>The folder of the function, where assemblies are looked for.</summary>
        public static string Root = "/var/task";

        public Handler(string name)
        {
            const string valid = " The valid format is 'ASSEMBLY::TYPE::METHOD'.";
            if (string.IsNullOrEmpty(name)) throw Invalid("Empty lambda function handler." + valid);
            string[] parts = name.Split(new[] { "::" }, 3, StringSplitOptions.None);
            if (parts.Length != 3) throw Invalid("Invalid lambda function handler: '{0}'." + valid, name);
            string[] kinds = { "assembly", "type", "method" };
            for (int i = 0; i < 3; i++)
            {
                parts[i] = parts[i].Trim();
                if (parts[i].Length == 0) throw Invalid("Invalid lambda function handler: '{0}', the {1} is missing." + valid, name, kinds[i]);
            }
            Assembly assembly = Load(parts[0]);
            Type type = assembly.GetType(parts[1]);
            if (type == null) throw Invalid("Unable to load type '{0}' from assembly '{1}'.", parts[1], parts[0]);
            method = Find(type, parts[2]);
            if (method == null)
            {
                throw Invalid("Unable to find method '{0}' in type '{1}' from assembly '{2}': Found no methods matching method name '{3}'.", parts[2], parts[1], parts[0], parts[2]);
            }
            CheckMethod();
            CheckParameters(type, out input, out context);
            output = Result(method.ReturnType);
            serializer = FindSerializer(assembly, out read, out write);
            instance = Create(type);
        }

        public static Assembly Load(string name)
        {
            foreach (string extension in new[] { ".dll", ".exe" })
            {
                string path = Path.Combine(Root, name + extension);
                if (!File.Exists(path)) continue;
                try
                {
                    return Assembly.LoadFrom(path);
                }
                catch (BadImageFormatException)
                {
                    throw Invalid("Unable to load assembly '{0}'.", name);
                }
            }
            throw Invalid("Could not find the specified handler assembly with the file name '{0}'. The assembly should be located in the root of your uploaded .zip file.", name);
        }

        /// <summary>By name or by its whole signature, in the type, then in those it derives from.</summary>
        static MethodInfo Find(Type type, string wanted)
        {
            for (Type current = type; current != null; current = current.BaseType)
            {
                MethodInfo found = null;
                string candidates = "";
                int count = 0;
                foreach (MethodInfo one in current.GetMethods(Any))
                {
                    if (one.ToString() == wanted) return one;
                    if (one.Name != wanted) continue;
                    found = one;
                    candidates += (count++ > 0 ? "\n" : "") + one;
                }
                if (count > 1)
                {
                    throw Invalid("The method '{0}' in type '{1}' appears to have a number of overloads. To call this method please specify a complete method signature. Possible candidates are:\n{2}.",
                        wanted, current.FullName, candidates);
                }
                if (found != null) return found;
            }
            return null;
        }

        void CheckMethod()
        {
            const string cannot = "The method '{0}' cannot be used as a Lambda Handler because it is ";
            if (method.IsAbstract) throw Invalid(cannot + "an abstract method. Handler methods cannot be abstract. Please specify a non-abstract handler method.", method);
            if (method.IsGenericMethod) throw Invalid(cannot + "a generic method. Handler methods cannot be generic. Please specify a non-generic handler method.", method);
            if (method.ReturnType == typeof(void) && method.IsDefined(typeof(AsyncStateMachineAttribute), false))
            {
                throw Invalid(cannot + "an 'async void' method. Handler methods cannot be 'async void'. Please specify a method that is not 'async void'.", method);
            }
            ParameterInfo[] parameters = method.GetParameters();
            if (parameters.Length > 0 && parameters[parameters.Length - 1].IsDefined(typeof(ParamArrayAttribute), false))
            {
                throw Invalid(cannot + "a 'params' method. Please specify a method that does not use 'params'.", method);
            }
        }

        void CheckParameters(Type type, out Type value, out Type last)
        {
            value = last = null;
            ParameterInfo[] parameters = method.GetParameters();
            if (parameters.Length > 2) throw Invalid("Method '{0}' of type '{1}' is not supported: the method has more than 2 parameters.", method.Name, type.FullName);
            foreach (ParameterInfo parameter in parameters)
            {
                if (parameter.ParameterType.FullName == ContextName && parameter.Position == parameters.Length - 1) last = parameter.ParameterType;
                else if (value == null) value = parameter.ParameterType;
                else throw Invalid("Method '{0}' of type '{1}' is not supported: the method has 2 parameters, but the second parameter is not of type '{2}'.", method.Name, type.FullName, ContextName);
            }
        }

        /// <summary>What there is to write: nothing for void and Task.</summary>
        static Type Result(Type type)
        {
            if (type == typeof(void)) return null;
            if (!typeof(Task).IsAssignableFrom(type)) return type;
            for (Type current = type; current != null; current = current.BaseType)
            {
                if (current.IsGenericType && current.GetGenericTypeDefinition() == typeof(Task<>)) return current.GetGenericArguments()[0];
            }
            return null;
        }

        object Create(Type type)
        {
            if (type.IsGenericType)
            {
                throw Invalid("The type '{0}' cannot be used as a Lambda Handler type because it is generic. Handler methods cannot be located in generic types. Please specify a handler method in a non-generic type.", type.FullName);
            }
            if (method.IsStatic)
            {
                RuntimeHelpers.RunClassConstructor(type.TypeHandle); // now, while starting, and not at the first event
                return null;
            }
            if (type.IsAbstract)
            {
                throw Invalid("The instance method '{0}' cannot be used as a Lambda Handler because its type '{1}' is abstract. Please either use a static handler or specify a type that is not abstract.", method, type.FullName);
            }
            return Activator.CreateInstance(type);
        }

        // ---- the user's serializer ----

        object FindSerializer(Assembly assembly, out MethodInfo reader, out MethodInfo writer)
        {
            reader = writer = null;
            object attribute = Attribute(method.GetCustomAttributes(true)) ?? Attribute(assembly.GetCustomAttributes(true));
            if (attribute == null) return null;
            PropertyInfo property = attribute.GetType().GetProperty("SerializerType");
            if (property == null) throw Invalid("The '{0}' class is invalid: no 'SerializerType' property detected.", attribute.GetType().FullName);
            var type = property.GetValue(attribute, null) as Type;
            if (type == null) throw Invalid("The 'SerializerType' property on attribute class '{0}' is not set.", attribute.GetType().FullName);
            if (type.GetConstructor(Type.EmptyTypes) == null) throw Invalid("The indicated serializer '{0}' does not define a public zero-parameter constructor.", type.FullName);
            Type face = type.GetInterface("Amazon.Lambda.Core.ILambdaSerializer");
            if (face == null) throw Invalid("The '{0}' class is invalid: it does not implement the 'ILambdaSerializer' interface.", type.FullName);
            if (input != null) reader = face.GetMethod("Deserialize").MakeGenericMethod(input);
            if (output != null) writer = face.GetMethod("Serialize").MakeGenericMethod(output);
            return Activator.CreateInstance(type);
        }

        static object Attribute(object[] attributes)
        {
            foreach (object attribute in attributes)
            {
                for (Type type = attribute.GetType(); type != null; type = type.BaseType)
                {
                    if (type.FullName == "Amazon.Lambda.Core.LambdaSerializerAttribute") return attribute;
                }
            }
            return null;
        }

        // ---- calling ----

        /// <summary>The answer to an event. Throws what the user's code throws.</summary>
        public byte[] Call(Event current)
        {
            var arguments = new List<object>(2);
            if (input != null) arguments.Add(ReadInput(current.Body));
            if (context != null) arguments.Add(Context.Make(current, context));
            object result;
            try
            {
                result = method.Invoke(instance, arguments.ToArray());
            }
            catch (TargetInvocationException e) when (e.InnerException != null)
            {
                throw new Thrown(e.InnerException);
            }
            var task = result as Task;
            if (task != null)
            {
                Wait(task);
                result = output == null ? null : typeof(Task<>).MakeGenericType(output).GetProperty("Result").GetValue(task, null);
            }
            return output == null ? new byte[0] : WriteOutput(result);
        }

        static void Wait(Task task)
        {
            try
            {
                task.Wait();
            }
            catch (AggregateException e) when (e.InnerExceptions.Count > 0)
            {
                throw new Thrown(e.InnerExceptions[0]); // as await does
            }
        }

        object ReadInput(byte[] body)
        {
            if (input == typeof(Stream) || input == typeof(MemoryStream)) return new MemoryStream(body, false);
            if (serializer == null) return Mapper.Read(new UTF8Encoding(false, true).GetString(body), input);
            try
            {
                return read.Invoke(serializer, new object[] { new MemoryStream(body, false) });
            }
            catch (TargetInvocationException e) when (e.InnerException != null)
            {
                throw new Thrown(e.InnerException);
            }
        }

        byte[] WriteOutput(object result)
        {
            if (typeof(Stream).IsAssignableFrom(output))
            {
                var stream = (Stream)result;
                var copy = new MemoryStream();
                if (stream == null) return new byte[0];
                using (stream)
                {
                    if (stream.CanSeek && stream.Position == stream.Length) stream.Position = 0; // written, and left at its end
                    stream.CopyTo(copy);
                }
                return copy.ToArray();
            }
            if (serializer == null) return Encoding.UTF8.GetBytes(Mapper.Write(result));
            var written = new MemoryStream();
            try
            {
                write.Invoke(serializer, new[] { result, written });
            }
            catch (TargetInvocationException e) when (e.InnerException != null)
            {
                throw new Thrown(e.InnerException);
            }
            return written.ToArray();
        }
    }

    /// <summary>Carries an exception of the user's code with the trace it has.</summary>
    sealed class Thrown : Exception
    {
        public Thrown(Exception inner) : base(null, inner) { }
    }
}

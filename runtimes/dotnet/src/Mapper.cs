// SPDX-License-Identifier: Apache-2.0
//
// Mapper: plain JSON values (see Json) to objects of a type, and objects to JSON text, for functions that name no serializer of
// their own (LambdaSerializerAttribute). It follows AWS's DefaultLambdaJsonSerializer: names are matched without regard to case
// and written as they are declared, null members are not written, enums are numbers, byte[] is base64. [JsonPropertyName],
// [JsonProperty] and [JsonIgnore] are obeyed, whosever they are. README.md has the list of types.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Text;

namespace Sluice.Runtime
{
    static class Mapper
    {
        sealed class Member
        {
            public string Name;
            public Type Type;
            public PropertyInfo Property;
            public FieldInfo Field;

            public object Get(object target)
            {
                return Property != null ? Property.GetValue(target, null) : Field.GetValue(target);
            }

            public void Set(object target, object value)
            {
                if (Property != null) Property.SetValue(target, value, null);
                else Field.SetValue(target, value);
            }
        }

        sealed class Shape
        {
            public readonly List<Member> Readable = new List<Member>();
            public readonly Dictionary<string, Member> Writable = new Dictionary<string, Member>(StringComparer.OrdinalIgnoreCase);
        }

        static readonly Dictionary<Type, Shape> shapes = new Dictionary<Type, Shape>();

        // ---- which members a type has ----

        static object Attribute(MemberInfo member, string name)
        {
            foreach (object attribute in member.GetCustomAttributes(true))
            {
                if (attribute.GetType().Name == name) return attribute;
            }
            return null;
        }

        static string NameOf(MemberInfo member)
        {
            foreach (string[] source in new[] { new[] { "JsonPropertyNameAttribute", "Name" }, new[] { "JsonPropertyAttribute", "PropertyName" } })
            {
                object attribute = Attribute(member, source[0]);
                string name = attribute == null ? null : attribute.GetType().GetProperty(source[1]).GetValue(attribute, null) as string;
                if (name != null) return name;
            }
            return member.Name;
        }

        static Shape ShapeOf(Type type)
        {
            Shape shape;
            lock (shapes)
            {
                if (shapes.TryGetValue(type, out shape)) return shape;
                shape = new Shape();
                foreach (PropertyInfo property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
                {
                    if (property.GetIndexParameters().Length > 0 || Attribute(property, "JsonIgnoreAttribute") != null) continue;
                    var member = new Member { Name = NameOf(property), Type = property.PropertyType, Property = property };
                    if (property.GetGetMethod() != null) shape.Readable.Add(member);
                    if (property.GetSetMethod() != null) shape.Writable[member.Name] = member;
                }
                foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
                {
                    // Only those somebody marked: fields are no members for AWS's serializer, but a tuple is nothing else.
                    bool wanted = NameOf(field) != field.Name || Attribute(field, "JsonIncludeAttribute") != null || type.Name.StartsWith("ValueTuple`", StringComparison.Ordinal);
                    if (!wanted) continue;
                    var member = new Member { Name = NameOf(field), Type = field.FieldType, Field = field };
                    shape.Readable.Add(member);
                    if (!field.IsInitOnly) shape.Writable[member.Name] = member;
                }
                shapes[type] = shape;
                return shape;
            }
        }

        // ---- reading ----

        public static object Read(string text, Type type)
        {
            return Bind(Json.Parse(text), type, "$");
        }

        static JsonException Cannot(Type type, string path)
        {
            return new JsonException("The JSON value could not be converted to " + type.FullName + ". Path: " + path + ".");
        }

        static object Bind(object value, Type type, string path)
        {
            Type inner = Nullable.GetUnderlyingType(type);
            if (value == null)
            {
                if (!type.IsValueType || inner != null) return null;
                throw Cannot(type, path);
            }
            if (inner != null) return Bind(value, inner, path);
            if (type == typeof(object)) return Plain(value);
            if (type.IsEnum) return BindEnum(value, type, path);
            var items = value as List<object>;
            if (items != null) return BindItems(items, type, path);
            var members = value as Dictionary<string, object>;
            if (members != null) return BindMembers(members, type, path);
            object scalar = Scalar(value, type);
            if (scalar == null) throw Cannot(type, path);
            return scalar;
        }

        static object Plain(object value)
        {
            var number = value as Number;
            if (number != null) return number.Natural();
            var items = value as List<object>;
            if (items != null)
            {
                for (int i = 0; i < items.Count; i++) items[i] = Plain(items[i]);
                return items;
            }
            var members = value as Dictionary<string, object>;
            if (members == null) return value;
            foreach (string name in new List<string>(members.Keys)) members[name] = Plain(members[name]);
            return members;
        }

        static object BindEnum(object value, Type type, string path)
        {
            try
            {
                var number = value as Number;
                if (number != null) return Enum.ToObject(type, long.Parse(number.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture));
                if (value is string) return Enum.Parse(type, (string)value, true);
            }
            catch (Exception e) when (e is ArgumentException || e is FormatException || e is OverflowException)
            {
                throw Cannot(type, path);
            }
            throw Cannot(type, path);
        }

        static object Scalar(object value, Type type)
        {
            var number = value as Number;
            if (number != null) return Numeric(number.Text, type);
            if (value is bool) return type == typeof(bool) ? value : null;
            var text = (string)value;
            if (type == typeof(string)) return text;
            try
            {
                if (type == typeof(char)) return text.Length == 1 ? (object)text[0] : null;
                if (type == typeof(byte[])) return Convert.FromBase64String(text);
                if (type.IsAssignableFrom(typeof(MemoryStream)) && typeof(Stream).IsAssignableFrom(type)) return new MemoryStream(Convert.FromBase64String(text));
                if (type == typeof(DateTime)) return DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
                if (type == typeof(DateTimeOffset)) return DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
                if (type == typeof(TimeSpan)) return TimeSpan.Parse(text, CultureInfo.InvariantCulture);
                if (type == typeof(Guid)) return new Guid(text);
                if (type == typeof(Uri)) return new Uri(text, UriKind.RelativeOrAbsolute);
                if (type == typeof(Version)) return new Version(text);
            }
            catch (FormatException)
            {
                return null;
            }
            return null;
        }

        static object Numeric(string text, Type type)
        {
            try
            {
                CultureInfo culture = CultureInfo.InvariantCulture;
                switch (Type.GetTypeCode(type))
                {
                    case TypeCode.SByte: return sbyte.Parse(text, NumberStyles.AllowLeadingSign, culture);
                    case TypeCode.Byte: return byte.Parse(text, NumberStyles.None, culture);
                    case TypeCode.Int16: return short.Parse(text, NumberStyles.AllowLeadingSign, culture);
                    case TypeCode.UInt16: return ushort.Parse(text, NumberStyles.None, culture);
                    case TypeCode.Int32: return int.Parse(text, NumberStyles.AllowLeadingSign, culture);
                    case TypeCode.UInt32: return uint.Parse(text, NumberStyles.None, culture);
                    case TypeCode.Int64: return long.Parse(text, NumberStyles.AllowLeadingSign, culture);
                    case TypeCode.UInt64: return ulong.Parse(text, NumberStyles.None, culture);
                    case TypeCode.Single: return float.Parse(text, NumberStyles.Float, culture);
                    case TypeCode.Double: return double.Parse(text, NumberStyles.Float, culture);
                    case TypeCode.Decimal: return decimal.Parse(text, NumberStyles.Float, culture);
                    // AWS's converter takes seconds since 1970, which some events have.
                    case TypeCode.DateTime: return new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddSeconds(double.Parse(text, NumberStyles.Float, culture));
                    default: return null;
                }
            }
            catch (Exception e) when (e is FormatException || e is OverflowException)
            {
                return null;
            }
        }

        /// <summary>The T of the generic interface `definition` that the type is or has, else null.</summary>
        static Type[] Arguments(Type type, Type definition)
        {
            if (type.IsGenericType && type.GetGenericTypeDefinition() == definition) return type.GetGenericArguments();
            foreach (Type face in type.GetInterfaces())
            {
                if (face.IsGenericType && face.GetGenericTypeDefinition() == definition) return face.GetGenericArguments();
            }
            return null;
        }

        static object BindItems(List<object> items, Type type, string path)
        {
            if (type.IsArray && type.GetArrayRank() == 1)
            {
                Array array = Array.CreateInstance(type.GetElementType(), items.Count);
                for (int i = 0; i < items.Count; i++) array.SetValue(Bind(items[i], type.GetElementType(), path + "[" + i + "]"), i);
                return array;
            }
            Type[] arguments = Arguments(type, typeof(IEnumerable<>));
            Type element = arguments == null ? typeof(object) : arguments[0];
            if (!typeof(IEnumerable).IsAssignableFrom(type) || type == typeof(string)) throw Cannot(type, path);
            Type list = typeof(List<>).MakeGenericType(element);
            object result = Activator.CreateInstance(type.IsAssignableFrom(list) ? list : Concrete(type, element, path));
            MethodInfo add = result.GetType().GetMethod("Add", new[] { element }) ?? typeof(ICollection<>).MakeGenericType(element).GetMethod("Add");
            for (int i = 0; i < items.Count; i++) add.Invoke(result, new[] { Bind(items[i], element, path + "[" + i + "]") });
            return result;
        }

        static Type Concrete(Type type, Type element, string path)
        {
            bool set = type.IsInterface && type.IsGenericType && type.Name.StartsWith("ISet`", StringComparison.Ordinal);
            if (set) return type.Assembly.GetType("System.Collections.Generic.HashSet`1").MakeGenericType(element);
            if (type.IsAbstract || type.GetConstructor(Type.EmptyTypes) == null) throw Cannot(type, path);
            return type;
        }

        static object BindMembers(Dictionary<string, object> members, Type type, string path)
        {
            Type[] arguments = Arguments(type, typeof(IDictionary<,>)) ?? Arguments(type, typeof(IReadOnlyDictionary<,>));
            if (arguments == null && type == typeof(IDictionary)) arguments = new[] { typeof(string), typeof(object) };
            if (arguments != null) return BindDictionary(members, type, arguments, path);
            if (type.IsPrimitive || type == typeof(string) || type.IsArray || type.IsInterface || type.IsAbstract) throw Cannot(type, path);
            Shape shape = ShapeOf(type);
            var left = new Dictionary<string, object>(members, StringComparer.OrdinalIgnoreCase);
            object result = Create(type, left, path);
            foreach (KeyValuePair<string, object> member in left)
            {
                Member known;
                if (!shape.Writable.TryGetValue(member.Key, out known)) continue;
                try
                {
                    known.Set(result, Bind(member.Value, known.Type, path + "." + member.Key));
                }
                catch (TargetInvocationException e) when (e.InnerException != null)
                {
                    throw e.InnerException;
                }
            }
            return result;
        }

        static object BindDictionary(Dictionary<string, object> members, Type type, Type[] arguments, string path)
        {
            Type standard = typeof(Dictionary<,>).MakeGenericType(arguments);
            object result = Activator.CreateInstance(type.IsAssignableFrom(standard) ? standard : Concrete(type, null, path));
            var dictionary = (IDictionary)result;
            foreach (KeyValuePair<string, object> member in members)
            {
                object key = arguments[0] == typeof(string) ? member.Key
                    : arguments[0].IsEnum ? BindEnum(member.Key, arguments[0], path) : Scalar(member.Key, arguments[0]) ?? Numeric(member.Key, arguments[0]);
                if (key == null) throw Cannot(arguments[0], path);
                dictionary[key] = Bind(member.Value, arguments[1], path + "." + member.Key);
            }
            return result;
        }

        /// <summary>By the constructor of no parameters, else by the only public one, whose parameters are then taken out of `members`.</summary>
        static object Create(Type type, Dictionary<string, object> members, string path)
        {
            ConstructorInfo[] constructors = type.GetConstructors();
            if (type.IsValueType && constructors.Length == 0 || type.GetConstructor(Type.EmptyTypes) != null) return Activator.CreateInstance(type);
            if (constructors.Length != 1)
            {
                throw new NotSupportedException("Deserialization of types without a parameterless constructor, or a singular parameterized constructor, is not supported. Type '" + type.FullName + "'.");
            }
            ParameterInfo[] parameters = constructors[0].GetParameters();
            object[] values = new object[parameters.Length];
            for (int i = 0; i < values.Length; i++)
            {
                object value;
                string name = parameters[i].Name;
                if (members.TryGetValue(name, out value))
                {
                    values[i] = Bind(value, parameters[i].ParameterType, path + "." + name);
                    members.Remove(name);
                }
                else if (parameters[i].ParameterType.IsValueType)
                {
                    values[i] = Activator.CreateInstance(parameters[i].ParameterType);
                }
            }
            return constructors[0].Invoke(values);
        }

        // ---- writing ----

        public static string Write(object value)
        {
            var result = new StringBuilder();
            Write(result, value, 0);
            return result.ToString();
        }

        static void Write(StringBuilder result, object value, int depth)
        {
            if (depth > Json.MaxDepth) throw new JsonException("A possible object cycle was detected, or the object depth is larger than " + Json.MaxDepth + ".");
            CultureInfo culture = CultureInfo.InvariantCulture;
            if (value == null) result.Append("null");
            else if (value is string) Json.Write(result, (string)value);
            else if (value is char || value is Guid || value is Uri || value is TimeSpan || value is Version) Json.Write(result, value.ToString());
            else if (value is bool) result.Append((bool)value ? "true" : "false");
            else if (value is Enum) result.Append(((Enum)value).ToString("d"));
            else if (value is double) result.Append(Finite((double)value).ToString("R", culture));
            else if (value is float) result.Append(((float)Finite((float)value)).ToString("R", culture));
            else if (value is DateTime) Json.Write(result, ((DateTime)value).ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFFK", culture));
            else if (value is DateTimeOffset) Json.Write(result, ((DateTimeOffset)value).ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFFzzz", culture));
            else if (value is byte[]) Json.Write(result, Convert.ToBase64String((byte[])value));
            else if (value is MemoryStream) Json.Write(result, Convert.ToBase64String(((MemoryStream)value).ToArray()));
            else if (value.GetType().IsPrimitive || value is decimal) result.Append(((IFormattable)value).ToString(null, culture));
            else if (value is IDictionary) WriteDictionary(result, (IDictionary)value, depth);
            else if (value is IEnumerable) WriteItems(result, (IEnumerable)value, depth);
            else WriteObject(result, value, depth);
        }

        static double Finite(double value)
        {
            if (double.IsNaN(value) || double.IsInfinity(value)) throw new ArgumentException(".NET number values such as positive and negative infinity cannot be written as valid JSON.");
            return value;
        }

        static void WriteDictionary(StringBuilder result, IDictionary dictionary, int depth)
        {
            string comma = "{";
            foreach (DictionaryEntry entry in dictionary)
            {
                result.Append(comma);
                Json.Write(result, Convert.ToString(entry.Key, CultureInfo.InvariantCulture));
                result.Append(':');
                Write(result, entry.Value, depth + 1);
                comma = ",";
            }
            result.Append(comma == "{" ? "{}" : "}");
        }

        static void WriteItems(StringBuilder result, IEnumerable items, int depth)
        {
            string comma = "[";
            foreach (object item in items)
            {
                result.Append(comma);
                Write(result, item, depth + 1);
                comma = ",";
            }
            result.Append(comma == "[" ? "[]" : "]");
        }

        static void WriteObject(StringBuilder result, object value, int depth)
        {
            string comma = "{";
            foreach (Member member in ShapeOf(value.GetType()).Readable)
            {
                object got;
                try
                {
                    got = member.Get(value);
                }
                catch (TargetInvocationException e) when (e.InnerException != null)
                {
                    throw e.InnerException;
                }
                if (got == null) continue;
                result.Append(comma);
                Json.Write(result, member.Name);
                result.Append(':');
                Write(result, got, depth + 1);
                comma = ",";
            }
            result.Append(comma == "{" ? "{}" : "}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Handlers of every form that AWS's .NET runtime takes, and of some that it does not.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace Tests
{
    public class JsonPropertyNameAttribute : Attribute
    {
        public string Name { get; private set; }

        public JsonPropertyNameAttribute(string name)
        {
            Name = name;
        }
    }

    public class JsonIgnoreAttribute : Attribute
    {
    }

    public enum Color
    {
        Red, Green
    }

    public class Point
    {
        public int X { get; set; }
        public int Y { get; set; }
    }

    public class Pair<T>
    {
        public string Name { get; private set; }
        public T Value { get; private set; }

        public Pair(string name, T value)
        {
            Name = name;
            Value = value;
        }
    }

    public struct Size
    {
        public double Width { get; set; }
    }

    public class Everything
    {
        public string Text { get; set; }
        public bool Yes { get; set; }
        public bool? Maybe { get; set; }
        public byte Small { get; set; }
        public long Big { get; set; }
        public ulong Bigger { get; set; }
        public double Real { get; set; }
        public float Single { get; set; }
        public decimal Exact { get; set; }
        public char Letter { get; set; }
        public Color Color { get; set; }
        public Color? NoColor { get; set; }
        public Point Point { get; set; }
        public Point[] Points { get; set; }
        public List<Point> List { get; set; }
        public IEnumerable<int> Items { get; set; }
        public HashSet<int> Set { get; set; }
        public Dictionary<string, List<long>> Map { get; set; }
        public IDictionary<int, Point> Numbers { get; set; }
        public byte[] Bytes { get; set; }
        public MemoryStream Memory { get; set; }
        public int[][] Grid { get; set; }
        public Pair<Point> Pair { get; set; }
        public Size Size { get; set; }
        public DateTime Time { get; set; }
        public DateTimeOffset Moment { get; set; }
        public TimeSpan Span { get; set; }
        public Guid Id { get; set; }
        public Uri Link { get; set; }
        public object Any { get; set; }
        [JsonPropertyName("re-named")] public string Renamed { get; set; }
        [JsonIgnore] public string Ignored { get; set; }
        public string ReadOnly { get { return "fixed"; } }
        public string field = "no member";
    }

    public abstract class Base
    {
        public string Inherited(string value)
        {
            return value + "!";
        }

        public abstract string Abstract(string value);
    }

    public class Forms : Base
    {
        public override string Abstract(string value)
        {
            return value;
        }

        public object Echo(object value)
        {
            return value;
        }

        public Everything Value(Everything value)
        {
            return value;
        }

        public Stream Streams(Stream value)
        {
            return value;
        }

        public static string Fixed()
        {
            return "fixed";
        }

        public void Nothing(object value)
        {
        }

        public Task NothingLater(object value)
        {
            return Task.Delay(1);
        }

        public async Task<int> Later(int value)
        {
            await Task.Delay(1);
            return value + 1;
        }

        public async Task<Stream> StreamLater(Stream value)
        {
            var copy = new MemoryStream();
            await value.CopyToAsync(copy);
            return copy;
        }

        public string Both(string value, ILambdaContext context)
        {
            return value + "/" + context.FunctionName;
        }

        public string OnlyContext(ILambdaContext context)
        {
            return context.FunctionName;
        }

        string Hidden(string value)
        {
            return value + " hidden";
        }

        public string Overloaded(string value)
        {
            return "one";
        }

        public string Overloaded(int value)
        {
            return "another";
        }

        public string Many(string a, string b, string c)
        {
            return "";
        }

        public string Second(string a, string b)
        {
            return "";
        }

        public T Generic<T>(T value)
        {
            return value;
        }

        public string Params(params string[] values)
        {
            return "";
        }

        public async void Void(string value)
        {
            await Task.Delay(1);
        }

        [LambdaSerializer(typeof(Own))]
        public string WithOwn(string value)
        {
            return value;
        }
    }

    public class Own : ILambdaSerializer
    {
        public T Deserialize<T>(Stream stream)
        {
            return (T)(object)("own " + new StreamReader(stream).ReadToEnd());
        }

        public void Serialize<T>(T response, Stream stream)
        {
            byte[] bytes = Encoding.UTF8.GetBytes("<" + typeof(T).Name + ">" + response);
            stream.Write(bytes, 0, bytes.Length);
        }
    }

    public class Generic<T>
    {
        public static string Handle(string value)
        {
            return value;
        }
    }

    public class ConstructorThrows
    {
        public ConstructorThrows()
        {
            throw new InvalidOperationException("no é");
        }

        public string Handle(string value)
        {
            return value;
        }
    }

    public static class StaticThrows
    {
        static readonly int value = int.Parse("x");

        static StaticThrows()
        {
        }

        public static int Handle(string ignored)
        {
            return value;
        }
    }

    public class Odd : Exception
    {
        public override string Message
        {
            get { throw new InvalidOperationException(); }
        }
    }

    public class Node
    {
        public Node Next { get; set; }
    }

    public class Doing
    {
        public object Handle(Dictionary<string, string> input, ILambdaContext c)
        {
            switch (input["do"])
            {
                case "context":
                    return new object[] { c.FunctionName, c.FunctionVersion, c.MemoryLimitInMB, c.LogGroupName, c.LogStreamName, c.AwsRequestId, c.InvokedFunctionArn,
                        c.TenantId, c.RemainingTime.TotalMilliseconds, c.OfALaterVersion, c.CountOfALaterVersion, Environment.GetEnvironmentVariable("_X_AMZN_TRACE_ID") };
                case "client":
                    if (c.Identity == null || c.ClientContext == null) return new object[] { c.Identity, c.ClientContext };
                    return new object[] { c.Identity.IdentityId, c.Identity.IdentityPoolId, c.ClientContext.Custom, c.ClientContext.Environment, c.ClientContext.Client.AppTitle };
                case "throw":
                    return Fail(input["message"]);
                case "cause":
                    try
                    {
                        return Fail("inner");
                    }
                    catch (ArgumentException e)
                    {
                        throw new InvalidOperationException("outer", e);
                    }
                case "aggregate":
                    throw new AggregateException("several", new Exception("one"), new ArgumentException("two"));
                case "odd":
                    throw new Odd();
                case "loop":
                    var node = new Node();
                    node.Next = node;
                    return node;
                case "nan":
                    return double.NaN;
                case "exit":
                    Console.Write("last words");
                    Environment.Exit(3);
                    return null;
                case "log":
                    Log(c.Logger);
                    return null;
                case "print":
                    Console.WriteLine("one é");
                    Console.Error.WriteLine("to stderr");
                    Console.WriteLine("{0} and {1}", 2, 3.5);
                    Console.Write("raw");
                    Console.Write('\n');
                    return null;
                case "wait":
                    Console.WriteLine("waiting");
                    Thread.Sleep(Timeout.Infinite);
                    return null;
                case "env":
                    return Environment.GetEnvironmentVariable(input["name"]);
                case "big":
                    return new string('x', int.Parse(input["size"]));
                default:
                    return typeof(ILambdaContext).Assembly.Location;
            }
        }

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static object Fail(string message)
        {
            throw new ArgumentException(message);
        }

        public async Task<string> FailLater(string message)
        {
            await Task.Delay(1);
            throw new ArgumentException(message);
        }

        static void Log(ILambdaLogger logger)
        {
            logger.Log("bare\n");
            logger.LogLine("line");
            logger.Log("Warning", "with a level");
            logger.Log(LogLevel.Error, "by enum");
            logger.LogWarning("bought {count} of {0}", 3, "things");
            logger.LogDebug("detail");
            logger.Log(LogLevel.Critical, new InvalidOperationException("why"), "with an exception");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Logs: what Console and ILambdaLogger write. As AWS's runtime does, every line that is written with WriteLine gets the time, the
// request id and a level in front (info on standard output, fail on standard error); with AWS_LAMBDA_LOG_FORMAT=JSON it becomes
// an object. AWS_LAMBDA_HANDLER_LOG_FORMAT=Unformatted leaves lines alone. Write without a line's end passes as it is.
using System;
using System.Collections;
using System.Globalization;
using System.IO;
using System.Text;

namespace Sluice.Runtime
{
    static class Logs
    {
        static readonly string[] Levels = { "Trace", "Debug", "Information", "Warning", "Error", "Critical" };
        static readonly string[] Labels = { "trce", "dbug", "info", "warn", "fail", "crit" };
        // The names of AWS_LAMBDA_LOG_LEVEL.
        static readonly string[] Platform = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" };

        static readonly bool json = Is("AWS_LAMBDA_LOG_FORMAT", "JSON");
        static readonly bool plain = Is("AWS_LAMBDA_HANDLER_LOG_FORMAT", "Unformatted");
        static int lowest = 2;

        public static string RequestId = "";

        static bool Is(string variable, string value)
        {
            return value.Equals(Environment.GetEnvironmentVariable(variable), StringComparison.OrdinalIgnoreCase);
        }

        /// <summary>Takes over the console.</summary>
        public static void Install()
        {
            string level = Environment.GetEnvironmentVariable("AWS_LAMBDA_HANDLER_LOG_LEVEL") ?? Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_LEVEL") ?? "";
            int rank = Rank(level);
            if (rank < 0) rank = Array.IndexOf(Platform, level.ToUpperInvariant());
            if (rank >= 0) lowest = rank;
            Console.SetOut(new LineWriter(Open(Console.OpenStandardOutput()), "Information"));
            Console.SetError(new LineWriter(Open(Console.OpenStandardError()), "Error"));
        }

        static TextWriter Open(Stream stream)
        {
            return new StreamWriter(stream, new UTF8Encoding(false), 1024) { AutoFlush = true };
        }

        static int Rank(string level)
        {
            for (int i = 0; i < Levels.Length; i++)
            {
                if (Levels[i].Equals(level, StringComparison.OrdinalIgnoreCase)) return i;
            }
            return -1;
        }

        /// <summary>A line for the log, or null when its level is too low. Unknown levels are shown as they are; null shows none.</summary>
        public static string Format(string level, string message, Exception exception)
        {
            int rank = Rank(level);
            if (rank >= 0 && rank < lowest) return null;
            if (json) return Object(rank >= 0 ? Levels[rank] : level ?? "Information", message, exception);
            if (exception != null) message = (message ?? "") + "\n" + Failure.Report(exception);
            if (plain) return message ?? "";
            string label = rank >= 0 ? Labels[rank] : level;
            return Now() + "\t" + RequestId + "\t" + (string.IsNullOrEmpty(label) ? "" : label + "\t") + (message ?? "");
        }

        static string Now()
        {
            return DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
        }

        static string Object(string level, string message, Exception exception)
        {
            var result = new StringBuilder();
            result.Append("{\"timestamp\":\"").Append(Now()).Append("\",\"level\":");
            Json.Write(result, level);
            if (RequestId.Length > 0)
            {
                result.Append(",\"requestId\":");
                Json.Write(result, RequestId);
            }
            result.Append(",\"message\":");
            Json.Write(result, message ?? "");
            if (exception != null)
            {
                result.Append(",\"errorType\":");
                Json.Write(result, exception.GetType().FullName);
                result.Append(",\"errorMessage\":");
                Json.Write(result, exception.Message);
                result.Append(",\"stackTrace\":[");
                string comma = "";
                foreach (string line in Failure.Report(exception).Split('\n'))
                {
                    result.Append(comma);
                    Json.Write(result, line.Trim());
                    comma = ",";
                }
                result.Append(']');
            }
            return result.Append('}').ToString();
        }

        /// <summary>An unhandled exception, on standard error as AWS's runtime has it.</summary>
        public static void Unhandled(Exception exception)
        {
            if (error == null) Install();
            error.Line("Error", json ? exception.Message : Failure.Report(exception), json ? exception : null);
        }

        /// <summary>A call of one of ILambdaLogger's methods: Log, LogLine, LogInformation, ... with a level, an exception, a message and its arguments.</summary>
        public static void Call(string method, object[] arguments)
        {
            string level = method.Length > 3 && Rank(method.Substring(3)) >= 0 ? method.Substring(3) : null;
            Exception exception = null;
            string message = null;
            object[] values = null;
            for (int i = 0; i < arguments.Length; i++)
            {
                object value = arguments[i];
                bool textFollows = i + 1 < arguments.Length && (arguments[i + 1] is string || arguments[i + 1] is Exception);
                if (value is Enum) level = value.ToString();
                else if (value is Exception) exception = (Exception)value;
                else if (value is string && level == null && message == null && textFollows) level = (string)value;
                else if (value is string && message == null) message = (string)value;
                else if (value is object[]) values = (object[])value;
            }
            if (method == "Log" && level == null && arguments.Length == 1 && !json)
            {
                // The oldest method of all: neither a level nor the end of a line is added to it.
                output.WriteRaw(plain || message == null ? message ?? "" : Format(null, message, null) + "\n");
                return;
            }
            output.Line(level ?? "Information", Fill(message, values), exception);
        }

        /// <summary>Puts arguments in the places of "{name}" and "{0}" of a message.</summary>
        static string Fill(string message, object[] values)
        {
            if (values == null || values.Length == 0 || message == null) return message;
            var result = new StringBuilder();
            int used = 0;
            for (int i = 0; i < message.Length; i++)
            {
                int close = message[i] == '{' ? message.IndexOf('}', i) : -1;
                if (close < 0)
                {
                    result.Append(message[i]);
                    continue;
                }
                int position;
                if (!int.TryParse(message.Substring(i + 1, close - i - 1), NumberStyles.None, CultureInfo.InvariantCulture, out position)) position = used++;
                if (position < values.Length) result.Append(Text(values[position]));
                else result.Append(message, i, close - i + 1);
                i = close;
            }
            return result.ToString();
        }

        static string Text(object value)
        {
            if (value is string || !(value is IEnumerable)) return Convert.ToString(value, CultureInfo.InvariantCulture);
            return Mapper.Write(value);
        }

        static LineWriter output, error;

        /// <summary>A console stream whose lines are formatted.</summary>
        sealed class LineWriter : TextWriter
        {
            readonly TextWriter inner;
            readonly string level;

            public LineWriter(TextWriter inner, string level) : base(CultureInfo.InvariantCulture)
            {
                this.inner = inner;
                this.level = level;
                if (level == "Error") error = this;
                else output = this;
            }

            public override Encoding Encoding
            {
                get { return inner.Encoding; }
            }

            public void WriteRaw(string text)
            {
                lock (inner) inner.Write(text);
            }

            /// <summary>One write for the whole line, so that lines of several threads do not mix.</summary>
            public void Line(string level, string message, Exception exception)
            {
                string line = Format(level, message, exception);
                if (line != null) WriteRaw(line + "\n");
            }

            public override void Write(char value) { WriteRaw(value.ToString()); }
            public override void Write(string value) { WriteRaw(value ?? ""); }
            public override void Write(char[] buffer, int index, int count) { WriteRaw(new string(buffer, index, count)); }
            public override void Flush() { lock (inner) inner.Flush(); }

            public override void WriteLine() { Line(level, "", null); }
            public override void WriteLine(string value) { Line(level, value, null); }
            public override void WriteLine(object value) { Line(level, Convert.ToString(value, CultureInfo.InvariantCulture), null); }
            public override void WriteLine(char value) { Line(level, value.ToString(), null); }
            public override void WriteLine(char[] value) { Line(level, value == null ? "" : new string(value), null); }
            public override void WriteLine(char[] value, int index, int count) { Line(level, new string(value, index, count), null); }
            public override void WriteLine(bool value) { Line(level, value.ToString(), null); }
            public override void WriteLine(int value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(uint value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(long value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(ulong value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(float value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(double value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(decimal value) { Line(level, value.ToString(CultureInfo.InvariantCulture), null); }
            public override void WriteLine(string format, object a) { Line(level, string.Format(CultureInfo.InvariantCulture, format, a), null); }
            public override void WriteLine(string format, object a, object b) { Line(level, string.Format(CultureInfo.InvariantCulture, format, a, b), null); }
            public override void WriteLine(string format, object a, object b, object c) { Line(level, string.Format(CultureInfo.InvariantCulture, format, a, b, c), null); }
            public override void WriteLine(string format, params object[] values) { Line(level, string.Format(CultureInfo.InvariantCulture, format, values), null); }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//
// Failure: AWS's error object for an exception: errorType, errorMessage, stackTrace, cause, causes (of an AggregateException).
// Frames of the runtime and of the reflection between are left out.
using System;
using System.Collections.Generic;
using System.Text;

namespace Sluice.Runtime
{
    /// <summary>What is wrong with the handler's name or form; AWS's runtime has an exception of this name.</summary>
    sealed class LambdaValidationException : Exception
    {
        public LambdaValidationException(string message) : base(message) { }
    }

    static class Failure
    {
        const int MaxDepth = 50;

        public static byte[] Body(Exception exception)
        {
            var result = new StringBuilder();
            Write(result, exception, 0);
            return Encoding.UTF8.GetBytes(result.ToString());
        }

        /// <summary>A header value that no type's name can break out of.</summary>
        public static string HeaderType(Exception exception)
        {
            var result = new StringBuilder();
            foreach (char c in exception.GetType().Name) result.Append(c >= ' ' && c <= '~' ? c : '?');
            return result.ToString();
        }

        static string Message(Exception exception)
        {
            try
            {
                return exception.Message ?? "";
            }
            catch (Exception e) // an exception whose message fails must not end the runtime
            {
                return "<unprintable " + exception.GetType().Name + ": " + e.GetType().Name + ">";
            }
        }

        /// <summary>The user's frames, as "at Namespace.Type.Method ...".</summary>
        public static List<string> Frames(Exception exception)
        {
            var frames = new List<string>();
            foreach (string line in (exception.StackTrace ?? "").Split('\n'))
            {
                string frame = line.Trim();
                if (frame.StartsWith("at Sluice.Runtime.", StringComparison.Ordinal)) break;
                if (frame.Length > 0) frames.Add(frame);
            }
            while (frames.Count > 0 && IsReflection(frames[frames.Count - 1])) frames.RemoveAt(frames.Count - 1);
            return frames;
        }

        static bool IsReflection(string frame)
        {
            foreach (string start in new[] { "at System.Reflection.", "at System.RuntimeMethodHandle.", "at (wrapper ", "at System.Activator.", "at System.RuntimeType." })
            {
                if (frame.StartsWith(start, StringComparison.Ordinal)) return true;
            }
            return frame.StartsWith("---", StringComparison.Ordinal);
        }

        static void Write(StringBuilder result, Exception exception, int depth)
        {
            result.Append("{\"errorType\":");
            Json.Write(result, exception.GetType().Name);
            result.Append(",\"errorMessage\":");
            Json.Write(result, Message(exception));
            List<string> frames = Frames(exception);
            string comma = ",\"stackTrace\":[";
            foreach (string frame in frames)
            {
                result.Append(comma);
                Json.Write(result, frame);
                comma = ",";
            }
            if (frames.Count > 0) result.Append(']');
            if (depth < MaxDepth) WriteInner(result, exception, depth);
            result.Append('}');
        }

        static void WriteInner(StringBuilder result, Exception exception, int depth)
        {
            if (exception.InnerException != null)
            {
                result.Append(",\"cause\":");
                Write(result, exception.InnerException, depth + 1);
            }
            var aggregate = exception as AggregateException;
            if (aggregate == null) return;
            string comma = ",\"causes\":[";
            foreach (Exception inner in aggregate.InnerExceptions)
            {
                result.Append(comma);
                Write(result, inner, depth + 1);
                comma = ",";
            }
            if (aggregate.InnerExceptions.Count > 0) result.Append(']');
        }

        /// <summary>For the log: type, message and frames, and those of the causes.</summary>
        public static string Report(Exception exception)
        {
            var result = new StringBuilder();
            int depth = 0;
            for (Exception e = exception; e != null && depth < MaxDepth; e = e.InnerException, depth++)
            {
                if (e != exception) result.Append("\n ---> ");
                result.Append(e.GetType().FullName).Append(": ").Append(Message(e));
                foreach (string frame in Frames(e)) result.Append("\n   ").Append(frame);
            }
            return result.ToString();
        }
    }
}

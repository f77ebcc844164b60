// SPDX-License-Identifier: Apache-2.0
//
// Json: text to plain values and back. Values are Dictionary<string, object>, List<object>, string, bool, null, and Number,
// which keeps its text until somebody says what type it is to have. Strict (RFC 8259). Of equal keys the last one counts.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Sluice.Runtime
{
    /// <summary>What is wrong with a document, or with a value for its type; AWS's serializer has an exception of this name.</summary>
    sealed class JsonException : Exception
    {
        public JsonException(string message) : base(message) { }
    }

    sealed class Number
    {
        public readonly string Text;

        public Number(string text)
        {
            Text = text;
        }

        /// <summary>For object: a long where it fits, else a double.</summary>
        public object Natural()
        {
            long whole;
            if (long.TryParse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out whole)) return whole;
            return double.Parse(Text, NumberStyles.Float, CultureInfo.InvariantCulture);
        }
    }

    sealed class Json
    {
        public const int MaxDepth = 64; // System.Text.Json's
        readonly string text;
        int at, depth;

        Json(string text)
        {
            this.text = text;
        }

        public static object Parse(string text)
        {
            var json = new Json(text);
            object value = json.Value();
            json.Blanks();
            if (json.at < text.Length) throw json.Wrong("the end");
            return value;
        }

        JsonException Wrong(string expected)
        {
            string found = at < text.Length ? "'" + text[at] + "' is invalid at position " + at : "The input ends too early";
            return new JsonException(found + ": expected " + expected + ".");
        }

        char Peek
        {
            get { return at < text.Length ? text[at] : '\0'; }
        }

        void Blanks()
        {
            while (Peek == ' ' || Peek == '\n' || Peek == '\r' || Peek == '\t') at++;
        }

        object Value()
        {
            Blanks();
            switch (Peek)
            {
                case '{': return Object();
                case '[': return Items();
                case '"': return String();
                case 't': return Word("true", true);
                case 'f': return Word("false", false);
                case 'n': return Word("null", null);
                default: return Numeral();
            }
        }

        object Word(string word, object value)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw Wrong(word);
            at += word.Length;
            return value;
        }

        /// <summary>Past an opening bracket; true when the closing one follows at once.</summary>
        bool Enter(char end)
        {
            at++;
            if (++depth > MaxDepth) throw new JsonException("The maximum configured depth of " + MaxDepth + " has been exceeded.");
            Blanks();
            if (Peek != end) return false;
            at++;
            depth--;
            return true;
        }

        bool Another(char end)
        {
            Blanks();
            char c = Peek;
            if (c != ',' && c != end) throw Wrong("',' or '" + end + "'");
            at++;
            if (c == end) depth--;
            return c == ',';
        }

        Dictionary<string, object> Object()
        {
            var members = new Dictionary<string, object>();
            if (Enter('}')) return members;
            do
            {
                Blanks();
                if (Peek != '"') throw Wrong("a name in double quotes");
                string name = String();
                Blanks();
                if (Peek != ':') throw Wrong("':'");
                at++;
                members[name] = Value();
            } while (Another('}'));
            return members;
        }

        List<object> Items()
        {
            var items = new List<object>();
            if (Enter(']')) return items;
            do items.Add(Value());
            while (Another(']'));
            return items;
        }

        string String()
        {
            int start = ++at;
            while (at < text.Length && text[at] != '"' && text[at] != '\\' && text[at] >= ' ') at++;
            if (Peek == '"') return text.Substring(start, at++ - start);
            var result = new StringBuilder(text, start, at - start, at - start + 32);
            while (at < text.Length && text[at] >= ' ')
            {
                char c = text[at++];
                if (c == '"') return result.ToString();
                result.Append(c == '\\' ? Escape() : c);
            }
            throw Wrong(at < text.Length ? "an escape for a control character" : "'\"'");
        }

        char Escape()
        {
            int known = at < text.Length ? "\"\\/bfnrt".IndexOf(text[at]) : -1;
            if (known >= 0)
            {
                at++;
                return "\"\\/\b\f\n\r\t"[known];
            }
            int code;
            bool four = Peek == 'u' && at + 5 <= text.Length
                && int.TryParse(text.Substring(at + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out code);
            if (!four) throw Wrong("an escape");
            code = int.Parse(text.Substring(at + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            at += 5;
            return (char)code;
        }

        void Digits()
        {
            int start = at;
            while (Peek >= '0' && Peek <= '9') at++;
            if (at == start) throw Wrong(start > 0 && text[start - 1] == '-' ? "a digit" : depth == 0 && start == 0 ? "a value" : "a value or a digit");
        }

        Number Numeral()
        {
            int start = at;
            if (Peek == '-') at++;
            bool zero = Peek == '0';
            int first = at;
            Digits();
            if (zero && at - first > 1) throw new JsonException("A number must not begin with 0.");
            if (Peek == '.')
            {
                at++;
                Digits();
            }
            if (Peek == 'e' || Peek == 'E')
            {
                at++;
                if (Peek == '+' || Peek == '-') at++;
                Digits();
            }
            return new Number(text.Substring(start, at - start));
        }

        public static void Write(StringBuilder result, string text)
        {
            result.Append('"');
            foreach (char c in text)
            {
                int known = c == '/' ? -1 : "\"\\\b\f\n\r\t".IndexOf(c);
                if (known >= 0) result.Append('\\').Append("\"\\bfnrt"[known]);
                else if (c < ' ') result.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                else result.Append(c);
            }
            result.Append('"');
        }
    }
}

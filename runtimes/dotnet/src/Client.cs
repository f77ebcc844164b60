// SPDX-License-Identifier: Apache-2.0
//
// Client: the Lambda Runtime API over one raw socket. The answer to an event and the request for the next one leave in one
// write; the responses are read back in order, and `owed` counts answers to posts that have not been read yet. The server may
// hold the 202 back until the next event is there.
//
// The files of this folder are C# 6 and need mscorlib and System only, so that mcs compiles them for Mono and the result runs
// on .NET as well.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Runtime
{
    /// <summary>One event as the server sent it; header names in any case.</summary>
    sealed class Event
    {
        readonly Dictionary<string, string> headers;
        public readonly byte[] Body;

        public Event(Dictionary<string, string> headers, byte[] body)
        {
            this.headers = headers;
            Body = body;
        }

        /// <summary>The value of a header, or null when it is not there or empty.</summary>
        public string Header(string name)
        {
            string value;
            return headers.TryGetValue(name, out value) && value.Length > 0 ? value : null;
        }

        public string RequestId
        {
            get { return Header("Lambda-Runtime-Aws-Request-Id") ?? ""; }
        }
    }

    /// <summary>The Runtime API answered in a way after which this process cannot go on.</summary>
    sealed class RefusedException : Exception
    {
        public RefusedException(string message) : base(message) { }
    }

    sealed class Client
    {
        sealed class ClosedException : IOException
        {
            public ClosedException() : base("the connection was closed") { }
        }

        const string VersionPath = "/2018-06-01/runtime/";
        const int MaxLine = 1 << 20; // our server's headers are small; a longer line is not HTTP from it
        const int ExitWaitMs = 2000; // for the answer to a post after which the process ends anyway

        static readonly Encoding Latin1 = Encoding.GetEncoding(28591);

        readonly string address;
        readonly byte[] next;
        readonly byte[] buffer = new byte[16384];
        Socket socket;
        int from, to, owed;

        public Client(string address)
        {
            this.address = address;
            next = Latin1.GetBytes(Head("GET", "invocation/next") + "\r\n");
        }

        /// <summary>The next event. Throws RefusedException when there will be none.</summary>
        public Event Next()
        {
            try
            {
                if (socket == null)
                {
                    Connect();
                    Send(next);
                }
                try
                {
                    return ReadEvent();
                }
                catch (Exception e) when (e is IOException || e is SocketException)
                {
                    // An HTTP server may close a connection between requests, and does after refusing a body.
                    Connect();
                    Send(next);
                    return ReadEvent();
                }
            }
            catch (Exception e) when (e is IOException || e is SocketException)
            {
                throw new RefusedException("the Runtime API cannot be reached: " + e.Message);
            }
        }

        /// <summary>
        /// Says that all that comes before a snapshot is done; returns when an environment is restored from it. The first event is
        /// asked for on a connection of its own: this one may have been idle for days.
        /// </summary>
        public void Restore()
        {
            try
            {
                Connect();
                Send(Latin1.GetBytes(Head("GET", "restore/next") + "\r\n"));
                ReadEvent();
                socket.Close();
                socket = null;
            }
            catch (Exception e) when (e is IOException || e is SocketException)
            {
                throw new RefusedException("the Runtime API cannot be reached: " + e.Message);
            }
        }

        /// <summary>Posts the outcome of the invocation under way and asks for the next one, in one write.</summary>
        public void Settle(string path, byte[] body, string errorType)
        {
            try
            {
                Send(Post(path, body, errorType, false));
                owed = 1;
            }
            catch (SocketException)
            {
                // The server may refuse a body before it has read all of it and hang up; its answer, if any, is lost.
                socket.Close();
                socket = null;
            }
        }

        /// <summary>Posts something after which the process ends: asks the server to answer now, and does not insist.</summary>
        public void PostLast(string path, byte[] body, string errorType)
        {
            try
            {
                if (socket == null) Connect();
                socket.ReceiveTimeout = ExitWaitMs;
                Send(Post(path, body, errorType, true));
                ReadStatus(new Dictionary<string, string>());
            }
            catch (Exception e) when (e is IOException || e is SocketException || e is RefusedException)
            {
                Console.Error.WriteLine("[ERROR] the error was not reported: " + e.Message);
            }
        }

        public void Close()
        {
            if (socket != null) socket.Close();
        }

        void Connect()
        {
            if (socket != null) socket.Close();
            from = to = owed = 0;
            int colon = address.LastIndexOf(':');
            socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.NoDelay = true;
            socket.Connect(IPAddress.Parse(address.Substring(0, colon)), int.Parse(address.Substring(colon + 1), CultureInfo.InvariantCulture));
        }

        void Send(byte[] bytes)
        {
            for (int sent = 0; sent < bytes.Length;) sent += socket.Send(bytes, sent, bytes.Length - sent, SocketFlags.None);
        }

        string Head(string method, string path)
        {
            return method + " " + VersionPath + path + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: sluice-dotnet/1\r\n";
        }

        byte[] Post(string path, byte[] body, string errorType, bool last)
        {
            string text = Head("POST", path) + "Content-Type: application/json\r\n";
            if (errorType != null) text += "Lambda-Runtime-Function-Error-Type: " + errorType + "\r\n";
            if (last) text += "Connection: close\r\n";
            byte[] head = Latin1.GetBytes(text + "Content-Length: " + body.Length.ToString(CultureInfo.InvariantCulture) + "\r\n\r\n");
            byte[] whole = new byte[head.Length + body.Length + (last ? 0 : next.Length)];
            Buffer.BlockCopy(head, 0, whole, 0, head.Length);
            Buffer.BlockCopy(body, 0, whole, head.Length, body.Length);
            if (!last) Buffer.BlockCopy(next, 0, whole, head.Length + body.Length, next.Length);
            return whole;
        }

        Event ReadEvent()
        {
            while (owed > 0)
            {
                var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
                int answer = ReadStatus(fields);
                byte[] text = ReadBody(fields);
                owed--;
                if (answer >= 500) throw Refused(answer, text);
                if (answer != 202) Console.Error.WriteLine("[ERROR] " + Refused(answer, text).Message);
                string connection;
                if (fields.TryGetValue("Connection", out connection) && connection.Equals("close", StringComparison.OrdinalIgnoreCase)) throw new ClosedException();
            }
            var headers = new Dictionary<string, string>(16, StringComparer.OrdinalIgnoreCase);
            int status = ReadStatus(headers);
            byte[] body = ReadBody(headers);
            if (status != 200) throw Refused(status, body);
            return new Event(headers, body);
        }

        static RefusedException Refused(int status, byte[] body)
        {
            return new RefusedException("the Runtime API answered " + status + ": " + Encoding.UTF8.GetString(body).Trim());
        }

        /// <summary>The status line and headers of one response; interim ones (RFC 9110, 15.2) are skipped.</summary>
        int ReadStatus(Dictionary<string, string> headers)
        {
            while (true)
            {
                string line = ReadLine();
                if (line.Length < 12) throw new RefusedException("the Runtime API does not speak HTTP");
                int status = int.Parse(line.Substring(9, 3), CultureInfo.InvariantCulture);
                while ((line = ReadLine()).Length > 0)
                {
                    int colon = line.IndexOf(':');
                    if (colon > 0) headers[line.Substring(0, colon)] = line.Substring(colon + 1).Trim();
                }
                if (status >= 200) return status;
                headers.Clear();
            }
        }

        byte[] ReadBody(Dictionary<string, string> headers)
        {
            if (headers.ContainsKey("Transfer-Encoding")) return ReadChunked();
            string length;
            return ReadExactly(headers.TryGetValue("Content-Length", out length) ? int.Parse(length, CultureInfo.InvariantCulture) : 0);
        }

        void More()
        {
            int got = socket.Receive(buffer, 0, buffer.Length, SocketFlags.None);
            if (got <= 0) throw new ClosedException();
            from = 0;
            to = got;
        }

        /// <summary>A line without its end. Header values are UTF-8 where they are not ASCII.</summary>
        string ReadLine()
        {
            byte[] line = new byte[0];
            while (true)
            {
                if (from == to) More();
                int end = Array.IndexOf(buffer, (byte)'\n', from, to - from);
                int stop = end < 0 ? to : end;
                int kept = line.Length;
                Array.Resize(ref line, kept + stop - from);
                Buffer.BlockCopy(buffer, from, line, kept, stop - from);
                if (line.Length > MaxLine) throw new RefusedException("the Runtime API sent an endless line");
                from = end < 0 ? to : end + 1;
                if (end < 0) continue;
                int length = line.Length > 0 && line[line.Length - 1] == '\r' ? line.Length - 1 : line.Length;
                return Encoding.UTF8.GetString(line, 0, length);
            }
        }

        byte[] ReadExactly(int length)
        {
            byte[] body = new byte[length];
            int have = Math.Min(length, to - from);
            Buffer.BlockCopy(buffer, from, body, 0, have);
            from += have;
            while (have < length)
            {
                int got = socket.Receive(body, have, length - have, SocketFlags.None);
                if (got <= 0) throw new ClosedException();
                have += got;
            }
            return body;
        }

        byte[] ReadChunked()
        {
            var body = new MemoryStream();
            while (true)
            {
                string line = ReadLine();
                int semicolon = line.IndexOf(';');
                int size = int.Parse((semicolon < 0 ? line : line.Substring(0, semicolon)).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                if (size == 0) break;
                body.Write(ReadExactly(size), 0, size);
                ReadLine();
            }
            while (ReadLine().Length > 0) { } // trailers carry nothing for an event
            return body.ToArray();
        }
    }
}

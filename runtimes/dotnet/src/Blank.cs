// SPDX-License-Identifier: Apache-2.0
//
// Blank: a start before it is known for which function (../../README.md, "Blanks"). With SLUICE_BLANK in the environment, Wait plays
// invocations with a server of its own, which compiles or loads what a start goes through; says that it is ready; and returns when
// the process has become a function's. Variables are set twice: in the C library, which native code and Mono read, and by way of
// Environment, of which .NET keeps a copy.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Sluice.Runtime
{
    static class Blank
    {
        const uint Magic = 0x534c424b;
        const int HeaderSize = 16, MaxBlock = 1 << 20, Rehearsals = 3;

        [DllImport("libc", EntryPoint = "setenv")]
        static extern int SetEnv(byte[] name, byte[] value, int overwrite);

        [DllImport("libc", EntryPoint = "clearenv")]
        static extern int ClearEnv();

        [DllImport("libc", EntryPoint = "tzset")]
        static extern void TzSet();

        [DllImport("libc", EntryPoint = "open")]
        static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "dup2")]
        static extern int Dup2(int from, int to);

        [DllImport("libc", EntryPoint = "close")]
        static extern int Close(int descriptor);

        [DllImport("libc", EntryPoint = "read")]
        static extern IntPtr Read(int descriptor, byte[] bytes, IntPtr size);

        [DllImport("libc", EntryPoint = "write")]
        static extern IntPtr Write(int descriptor, byte[] bytes, IntPtr size);

        static byte[] Text(string text)
        {
            return Encoding.UTF8.GetBytes(text + "\0");
        }

        /// <summary>Plays the server for one connection.</summary>
        static void Stage(object argument)
        {
            byte[] happens = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 0\r\nContent-Type: application/json\r\n" +
                "Content-Length: 27\r\n\r\n{\"a\":[1,2.5,true,null,\"x\"]}");
            byte[] accepted = Encoding.ASCII.GetBytes("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            try
            {
                using (Socket socket = ((Socket)argument).Accept())
                {
                    socket.NoDelay = true;
                    byte[] buffer = new byte[4096];
                    for (int i = 0; i < Rehearsals && socket.Receive(buffer) > 0; i++)
                    {
                        if (i > 0) socket.Send(accepted);
                        socket.Send(happens);
                    }
                    socket.Receive(buffer); // what is left of the last answer, or the end
                }
            }
            catch (SocketException)
            {
                // the client's side fails too, and that ends the rehearsal
            }
        }

        static void Rehearse()
        {
            using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen(1);
                new Thread(Stage) { IsBackground = true }.Start(listener);
                var client = new Client("127.0.0.1:" + ((IPEndPoint)listener.LocalEndPoint).Port);
                for (int i = 0; i < Rehearsals; i++)
                {
                    Event happens = client.Next();
                    string text = Encoding.UTF8.GetString(happens.Body);
                    object value = Mapper.Read(text, typeof(Dictionary<string, object>));
                    client.Settle("invocation/0/response", Encoding.UTF8.GetBytes(Mapper.Write(value)), null);
                }
                client.Close();
            }
        }

        static void Fail(string text)
        {
            Console.Error.WriteLine("[ERROR] " + text);
            Environment.Exit(1);
        }

        static byte[] Exactly(int size)
        {
            var bytes = new byte[size];
            var part = new byte[size];
            for (int have = 0; have < size;)
            {
                int got = (int)Read(0, part, (IntPtr)(size - have));
                if (got <= 0 && have == 0) Environment.Exit(0); // not needed any more
                if (got <= 0) Fail("a block ended early");
                Buffer.BlockCopy(part, 0, bytes, have, got);
                have += got;
            }
            return bytes;
        }

        /// <summary>The variables of the block on standard input, as NAME=value.</summary>
        static string[] ReadBlock()
        {
            byte[] header = Exactly(HeaderSize);
            int argc = BitConverter.ToInt32(header, 4), envc = BitConverter.ToInt32(header, 8), size = BitConverter.ToInt32(header, 12);
            if (BitConverter.ToUInt32(header, 0) != Magic || size <= 0 || size > MaxBlock) Fail("what arrived is no block");
            string[] texts = Encoding.UTF8.GetString(Exactly(size)).Split('\0');
            if (texts.Length != 1 + argc + envc + 1) Fail("what arrived is no block");
            var variables = new string[envc];
            Array.Copy(texts, 1 + argc, variables, 0, envc);
            return variables;
        }

        static void Become(string[] variables)
        {
            int nothing = Open(Text("/dev/null"), 0);
            Dup2(nothing, 0);
            Close(nothing);
            foreach (object name in Environment.GetEnvironmentVariables().Keys) Environment.SetEnvironmentVariable((string)name, null);
            ClearEnv();
            foreach (string variable in variables)
            {
                int equals = variable.IndexOf('=');
                string name = variable.Substring(0, equals), value = variable.Substring(equals + 1);
                Environment.SetEnvironmentVariable(name, value); // an empty value unsets in some versions, so the C library is next
                SetEnv(Text(name), Text(value), 1);
            }
            TzSet();
            TimeZoneInfo.ClearCachedData();
            string root = Environment.GetEnvironmentVariable("LAMBDA_TASK_ROOT") ?? "/var/task";
            if (Directory.Exists(root)) Directory.SetCurrentDirectory(root);
        }

        public static void Wait()
        {
            try
            {
                Rehearse();
            }
            catch (Exception e)
            {
                Console.Error.WriteLine("[ERROR] a rehearsal failed: " + e.Message);
            }
            GC.Collect();
            Write(0, new[] { (byte)'R' }, (IntPtr)1);
            Become(ReadBlock());
        }
    }
}

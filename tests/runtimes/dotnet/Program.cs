// SPDX-License-Identifier: Apache-2.0
//
// A function that is a program of its own: its handler is the name of its assembly.
using System;

static class Program
{
    static int Main()
    {
        Console.WriteLine("the program speaks with " + Environment.GetEnvironmentVariable("AWS_LAMBDA_RUNTIME_API").Length);
        return 7;
    }
}

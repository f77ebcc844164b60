// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the library Amazon.Lambda.Core, which functions bring along: the same names and signatures, as far as the tests
// use them, and one member of "a later version".
using System;
using System.Collections.Generic;
using System.IO;

namespace Amazon.Lambda.Core
{
    public interface ILambdaContext
    {
        string AwsRequestId { get; }
        IClientContext ClientContext { get; }
        string FunctionName { get; }
        string FunctionVersion { get; }
        ICognitoIdentity Identity { get; }
        string InvokedFunctionArn { get; }
        ILambdaLogger Logger { get; }
        string LogGroupName { get; }
        string LogStreamName { get; }
        int MemoryLimitInMB { get; }
        TimeSpan RemainingTime { get; }
        string TenantId { get; }
        string OfALaterVersion { get; }
        long CountOfALaterVersion { get; }
    }

    public interface IClientContext
    {
        IDictionary<string, string> Environment { get; }
        IClientApplication Client { get; }
        IDictionary<string, string> Custom { get; }
    }

    public interface IClientApplication
    {
        string AppTitle { get; }
        string InstallationId { get; }
    }

    public interface ICognitoIdentity
    {
        string IdentityId { get; }
        string IdentityPoolId { get; }
    }

    public enum LogLevel
    {
        Trace, Debug, Information, Warning, Error, Critical
    }

    public interface ILambdaLogger
    {
        void Log(string message);
        void LogLine(string message);
        void Log(string level, string message);
        void Log(LogLevel level, string message);
        void Log(LogLevel level, Exception exception, string message, params object[] values);
        void LogWarning(string message, params object[] values);
        void LogDebug(string message);
    }

    public interface ILambdaSerializer
    {
        T Deserialize<T>(Stream stream);
        void Serialize<T>(T response, Stream stream);
    }

    [AttributeUsage(AttributeTargets.Method | AttributeTargets.Assembly)]
    public class LambdaSerializerAttribute : Attribute
    {
        public Type SerializerType { get; set; }

        public LambdaSerializerAttribute(Type type)
        {
            SerializerType = type;
        }
    }
}

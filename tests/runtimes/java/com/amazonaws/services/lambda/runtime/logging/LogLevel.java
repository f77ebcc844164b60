// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the interface of this name in aws-lambda-java-core, which functions bring along; same signatures.
package com.amazonaws.services.lambda.runtime.logging;

public enum LogLevel {
    UNDEFINED, TRACE, DEBUG, INFO, WARN, ERROR, FATAL
}

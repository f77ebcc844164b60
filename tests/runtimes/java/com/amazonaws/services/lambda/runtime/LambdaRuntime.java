// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the class of this name in aws-lambda-java-core, which log libraries ask for the logger.
package com.amazonaws.services.lambda.runtime;

public final class LambdaRuntime {
    private static volatile LambdaLogger logger;

    private LambdaRuntime() {
    }

    public static LambdaLogger getLogger() {
        return logger;
    }
}

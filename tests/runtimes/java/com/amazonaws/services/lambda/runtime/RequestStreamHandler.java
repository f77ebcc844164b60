// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the interface of this name in aws-lambda-java-core, which functions bring along; same signatures.
package com.amazonaws.services.lambda.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

public interface RequestStreamHandler {
    void handleRequest(InputStream input, OutputStream output, Context context) throws IOException;
}

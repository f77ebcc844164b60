// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the interface of this name in aws-lambda-java-core, which functions bring along; same signatures.
package com.amazonaws.services.lambda.runtime;

import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Type;

public interface CustomPojoSerializer {
    <T> T fromJson(InputStream input, Type type);

    <T> T fromJson(String input, Type type);

    <T> void toJson(T value, OutputStream output, Type type);
}

// SPDX-License-Identifier: Apache-2.0
//
// Stands in for the interface of this name in aws-lambda-java-core, which functions bring along; same signatures.
package com.amazonaws.services.lambda.runtime;

import java.util.Map;

public interface ClientContext {
    Client getClient();

    Map<String, String> getCustom();

    Map<String, String> getEnvironment();
}

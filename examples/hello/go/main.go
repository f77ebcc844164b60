// SPDX-License-Identifier: Apache-2.0
//
// Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada).
package main

import (
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Name  string            `json:"name"`
	Query map[string]string `json:"queryStringParameters"` // there if the URL had a query
}

type answer struct {
	Message string `json:"message"`
	Runtime string `json:"runtime"`
}

func hello(in event) (answer, error) {
	name := in.Name
	if in.Query != nil {
		name = in.Query["name"]
	}
	if name == "" {
		name = "world"
	}
	return answer{fmt.Sprintf("Hello, %s!", name), "go"}, nil
}

func main() {
	lambda.Start(hello)
}

// SPDX-License-Identifier: Apache-2.0
//
// The function of test_seven_languages.py, in Go with AWS's library: does what its event says.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Do    string          `json:"do"`
	Value json.RawMessage `json:"value"`
}

type badValue struct{ message string }

func (e badValue) Error() string { return e.message }

var count int

func handle(in event) (any, error) {
	count++
	fmt.Println("doing", in.Do)
	var text string
	if in.Do == "env" || in.Do == "fail" {
		if err := json.Unmarshal(in.Value, &text); err != nil {
			return nil, err
		}
	}
	switch in.Do {
	case "echo":
		return in.Value, nil
	case "env":
		return os.Getenv(text), nil
	case "count":
		return count, nil
	case "sleep":
		time.Sleep(1000 * time.Second)
		return nil, nil
	default:
		return nil, badValue{text}
	}
}

func main() {
	lambda.Start(handle)
}

# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# Says hello, to a direct invocation ({"name": "Ada"}) and behind an HTTP API (?name=Ada).
def handler(event:, context:)
  name = (event['queryStringParameters'] || event).fetch('name', 'world')
  { message: "Hello, #{name}!", runtime: 'ruby' }
end

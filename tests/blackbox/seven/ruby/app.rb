# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# The function of test_seven_languages.py, in Ruby: does what its event says.
$count = 0

def fail_with(message)
  raise ArgumentError, message
end

def handler(event:, context:)
  $count += 1
  puts "doing #{event['do']}"
  case event['do']
  when 'echo' then event['value']
  when 'env' then ENV[event['value']]
  when 'count' then $count
  when 'sleep' then sleep 1000
  else fail_with(event['value'])
  end
end

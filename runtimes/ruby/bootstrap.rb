# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# Entry point of Sluice's Ruby runtime:
#
#     ruby --disable=gems,did_you_mean,error_highlight /var/runtime/ruby/bootstrap.rb    # handler from _HANDLER
#
# It loads the handler and serves events until the process is ended from outside, by the user's code, or by a failure
# after which AWS's client leaves too. Behaviour (messages, types, exit codes, log lines) follows AWS's interface client
# for Ruby; README.md lists where it differs.
#
# Start-up is most of a cold start, so everything that not every function needs is loaded when it is used: RubyGems
# (lib/gems.rb, about 100 ms on Debian), Logger and its formats (shim/logger.rb), failures (lib/failure.rb).
#
# One thread. Invariant: between `Client#next_event` and `Client#settle` exactly one invocation is under way, and $_global_aws_request_id
# is its id (the name is AWS's; the log formats read it).
require_relative 'lib/client'
require_relative 'lib/handler'
require_relative 'lib/gems'

module SluiceRuntime
  HERE = __dir__
  EXIT_CRITICAL = 255 # AWS's client: exit(-1) after NameError, NoMethodError and what is no StandardError
  EXIT_INIT = 252 # ... exit(-4) when the handler cannot be loaded

  # What AWS's client and RubyGems have loaded before the user's code runs, so that code may use it without a require of its own.
  def self.offer_libraries
    Object.autoload(:RbConfig, 'rbconfig')
    Object.autoload(:Monitor, 'monitor')
    Object.autoload(:MonitorMixin, 'monitor')
    Object.autoload(:Logger, 'logger')
    Object.autoload(:StringIO, 'stringio')
    Object.autoload(:URI, 'uri')
    Object.const_set(:Net, Module.new).autoload(:HTTP, 'net/http')
  end

  # The function first, as AWS has it; then our logger.rb, which loads the real one and gives it AWS's formats.
  def self.arrange_paths(task_root)
    $LOAD_PATH.unshift(task_root) unless $LOAD_PATH.include?(task_root)
    $LOAD_PATH.insert($LOAD_PATH.index(task_root) + 1, "#{HERE}/shim")
    Dir.chdir(task_root)
  rescue SystemCallError
    nil # then loading the handler says what is wrong, in AWS's words
  end

  def self.load_handler(client, name)
    handler = LambdaHandler.new(env_handler: name)
    require handler.handler_file_name
    handler
  rescue Exception => e # rubocop:disable Lint/RescueException -- the user's top-level code may raise anything
    require_relative 'lib/failure'
    Failure.new(e, 'Init').report_init(client, name)
    exit(EXIT_INIT)
  end

  # One event: [kind of answer, body, content type, error type, whether the process must end].
  def self.answer(handler, event)
    body, type = handler.call_handler(request: event.decoded, context: LambdaContext.new(event))
    body = body.read if type == 'application/unknown'
    ['response', body.to_s, type || 'application/json', nil, false]
  rescue Exception => e # rubocop:disable Lint/RescueException -- as AWS: exit() in a handler is an error of the function
    require_relative 'lib/failure'
    failure = Failure.new(e, 'Function')
    critical = e.is_a?(NameError) || !e.is_a?(StandardError)
    failure.log(critical ? 'Critical exception from handler' : 'Error raised from handler method')
    ['error', failure.to_json, 'application/json', failure.runtime_error_type, critical]
  end

  def self.serve(client, handler)
    trace = ENV['_X_AMZN_TRACE_ID']
    loop do
      event = client.next_event
      $_global_aws_request_id = event.request_id
      new_trace = event['Lambda-Runtime-Trace-Id']
      ENV['_X_AMZN_TRACE_ID'] = trace = new_trace if new_trace != trace
      kind, body, type, error_type, critical = answer(handler, event)
      if critical
        client.post_last("invocation/#{event.request_id}/#{kind}", body, error_type)
        exit(EXIT_CRITICAL)
      end
      client.settle("invocation/#{event.request_id}/#{kind}", body, type, error_type)
    end
  end

  def self.main
    $stdout.sync = true
    Encoding.default_external = Encoding::UTF_8
    offer_libraries
    if ENV.key?('SLUICE_BLANK')
      require_relative 'lib/blank'
      Blank.wait
    end
    arrange_paths(ENV.fetch('LAMBDA_TASK_ROOT', '/var/task'))
    Gems.prepare
    client = Client.new(ENV.fetch('AWS_LAMBDA_RUNTIME_API'))
    serve(client, load_handler(client, ARGV[0] || ENV.fetch('_HANDLER', '')))
  rescue Client::Refused => e
    warn("[ERROR] Runtime.LambdaRuntimeClientError: #{e.message}")
    exit(1)
  end
end

SluiceRuntime.main

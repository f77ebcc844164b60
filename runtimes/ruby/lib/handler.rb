# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# What the user's code sees of the runtime, under the names AWS's client gives it: the handler's forms, the context, and
# AwsLambda::Marshaller, whose two methods a function may replace.

# Calls `file.method` (a method defined at top level) or `file.Module::Class.method`.
class LambdaHandler
  attr_reader :handler_file_name, :handler_method_name

  def initialize(env_handler:)
    parts = env_handler.split('.')
    case parts.size
    when 2 then @handler_file_name, @handler_method_name = parts
    when 3 then @handler_file_name, @handler_class, @handler_method_name = parts
    else
      raise ArgumentError,
            "Invalid handler #{parts}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME corresponds " \
            'with an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace and METHOD is a ' \
            'callable method. If using CLASS, METHOD must be a class-level method.'
    end
  end

  # [body, content type]; the type is nil for JSON. Turning the result into JSON may run code of the user's.
  def call_handler(request:, context:)
    result = if @handler_class
               Kernel.const_get(@handler_class).send(@handler_method_name, event: request, context: context)
             else
               __send__(@handler_method_name, event: request, context: context)
             end
    AwsLambda::Marshaller.marshall_response(result)
  end

  # A missing handler's message has this in it ("undefined method `x' for ..."); no addresses, so that it is the same each time.
  def inspect
    '#<LambdaHandler>'
  end
end

# The second argument of a handler.
class LambdaContext
  W3C_FIELDS = %w[traceparent tracestate baggage].freeze

  attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name,
              :memory_limit_in_mb, :function_version, :identity, :client_context, :deadline_ms, :tenant_id

  def initialize(request)
    @deadline_ms = request['Lambda-Runtime-Deadline-Ms'].to_i
    @aws_request_id = request['Lambda-Runtime-Aws-Request-Id']
    @invoked_function_arn = request['Lambda-Runtime-Invoked-Function-Arn']
    @tenant_id = request['Lambda-Runtime-Aws-Tenant-Id']
    @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
    @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
    @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
    @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
    @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
    @identity = parsed(request['Lambda-Runtime-Cognito-Identity'])
    @client_context = parsed(request['Lambda-Runtime-Client-Context'])
    @w3c = @client_context.is_a?(Hash) ? @client_context.delete('w3c') : nil
  end

  # Milliseconds left, never negative. The deadline is wall-clock time, so it is compared with that.
  def get_remaining_time_in_millis # rubocop:disable Naming/AccessorMethodName -- AWS's name
    [@deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond), 0].max
  end

  # The W3C trace headers the invoker put into the client context.
  def w3c
    return {} unless @w3c.is_a?(Hash)

    @w3c.select { |key, value| W3C_FIELDS.include?(key) && value.is_a?(String) }
  end

  private

  def parsed(text)
    JSON.parse(text) unless text.to_s.empty?
  end
end

module AwsLambda
  # How events and results are turned from and into bytes. AWS says: "can be overwritten by users who know what they are doing".
  class Marshaller
    class << self
      # `raw_request` answers to ['Header-Name'] and #body. Only JSON is parsed.
      def marshall_request(raw_request)
        raw_request['Content-Type'] == 'application/json' ? JSON.parse(raw_request.body) : raw_request.body
      end

      # A StringIO or IO is sent as it is.
      def marshall_response(method_response)
        # Not loaded yet, StringIO cannot be the result's class.
        raw = method_response.is_a?(IO) || (!Object.autoload?(:StringIO) && method_response.is_a?(StringIO))
        raw ? [method_response, 'application/unknown'] : method_response.to_json
      end
    end
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# AWS's error object for an exception of the user's, its log lines, and the report of a failed start. Loaded at the first failure.
module SluiceRuntime
  class Failure
    MAX_FRAMES = 100
    # Types that AWS's client reports by name in the header; all others are the user's.
    NAMED = %w[ArgumentError NoMethodError Exception StandardError NameError LoadError SystemExit SystemStackError].freeze

    # scope: "Function" or "Init"
    def initialize(error, scope)
      @error_class = error.class.to_s
      @report = {
        errorMessage: clean(message_of(error)),
        errorType: clean("#{scope}<#{@error_class}>"),
        stackTrace: frames(error)
      }
    end

    def runtime_error_type
      NAMED.include?(@error_class) ? @report[:errorType] : 'Function<UserException>'
    end

    def to_json(*)
      JSON.generate(@report)
    end

    def log(text)
      if ENV['AWS_LAMBDA_LOG_FORMAT'].to_s.casecmp?('JSON')
        now = Time.now.utc.strftime('%Y-%m-%dT%H:%M:%S.%6NZ')
        $stdout.puts(JSON.generate({ timestamp: now, level: 'ERROR', message: text, requestId: $_global_aws_request_id }
                     .compact.merge(@report)))
      else
        $stdout.puts(text, JSON.pretty_generate(@report))
      end
    end

    # Logs and reports that the handler could not be loaded.
    def report_init(client, handler)
      log("Init error when loading handler #{handler}")
      client.post_last('init/error', to_json, runtime_error_type)
    end

    private

    def message_of(error)
      error.message.to_s
    rescue StandardError => e # an exception whose message fails must not end the runtime
      "<unprintable #{error.class}: #{e.class}>"
    end

    # The user's frames, without the runtime's own.
    def frames(error)
      (error.backtrace_locations || []).first(MAX_FRAMES).map { |line| clean(line.to_s) }
                                       .reject { |line| line.start_with?(SluiceRuntime::HERE) }
    end

    def clean(text)
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# Stands before the standard library on the load path: loads the real Logger, then gives loggers that write to standard
# output or error AWS's formats: text with the request id, or JSON objects with AWS_LAMBDA_LOG_FORMAT=JSON.
# AWS_LAMBDA_LOG_LEVEL is the level of loggers that were given none. Formats and names are AWS's client's.
real = ($LOAD_PATH - [__dir__]).find { |folder| File.file?("#{folder}/logger.rb") }
require "#{real}/logger"
require 'json'

class LogFormatter < Logger::Formatter
  FORMAT = '%<sev>s, [%<datetime>s #%<process>d] %<severity>5s %<request_id>s -- %<progname>s: %<msg>s'

  def call(severity, time, progname, msg)
    text = format(FORMAT, sev: severity[0..0], datetime: format_datetime(time), process: Process.pid, severity: severity,
                          request_id: $_global_aws_request_id, progname: progname, msg: msg2str(msg))
    "#{text.encode('UTF-8', invalid: :replace, undef: :replace).scrub}\n"
  end
end

class JsonLogFormatter < Logger::Formatter
  def call(severity, time, progname, msg)
    error = msg.is_a?(Exception)
    record = {
      timestamp: time.utc.strftime('%Y-%m-%dT%H:%M:%S.%6NZ'),
      level: severity,
      message: clean(error ? msg.message : msg2str(msg)),
      requestId: $_global_aws_request_id,
      logger: progname.to_s.empty? ? nil : clean(progname)
    }
    record.merge!(details(msg)) if error
    "#{JSON.generate(record.compact)}\n"
  end

  private

  def details(error)
    trace = Array(error.backtrace).map { |line| clean(line) }
    at = /\A(?<file>.+):(?<line>\d+):in [`'](?<method>.+)'\z/.match(trace.first.to_s)
    { errorType: error.class.to_s, errorMessage: clean(error.message), stackTrace: trace,
      location: at ? "#{at[:file]}:#{at[:method]}:#{at[:line]}" : trace.first }
  end

  def clean(text)
    text.to_s.encode('UTF-8', invalid: :replace, undef: :replace).scrub
  end
end

module LoggerPatch
  LEVELS = { 'TRACE' => Logger::DEBUG, 'DEBUG' => Logger::DEBUG, 'INFO' => Logger::INFO, 'WARN' => Logger::WARN,
             'ERROR' => Logger::ERROR, 'FATAL' => Logger::FATAL }.freeze

  def initialize(logdev = nil, shift_age = 0, shift_size = 1_048_576, **options)
    if logdev.nil? || logdev == $stdout || logdev == $stderr
      logdev ||= $stdout
      json = ENV['AWS_LAMBDA_LOG_FORMAT'].to_s.casecmp?('JSON')
      options[:formatter] ||= json ? JsonLogFormatter.new : LogFormatter.new
      options[:level] ||= LEVELS.fetch(ENV['AWS_LAMBDA_LOG_LEVEL'].to_s.upcase, Logger::DEBUG)
    end
    super(logdev, shift_age, shift_size, **options)
  end
end

Logger.prepend(LoggerPatch)

# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# The Lambda Runtime API over one raw socket. The answer to an event and the request for the next one leave in one write; the
# responses are read back in order, and `@owed` counts answers to posts that have not been read yet. The server may hold the
# 202 back until the next event is there. `socket.so` without `socket.rb` (the library's Ruby part) is all that is needed.
require 'socket.so'
require 'json'

module SluiceRuntime
  # One event as the server sent it. Header names are asked for in AWS's spelling, in any case.
  class Event
    attr_reader :body

    def initialize(headers, body)
      @headers = headers
      @body = body
    end

    def [](name)
      @headers[name.downcase]
    end

    def request_id
      self['Lambda-Runtime-Aws-Request-Id'].to_s
    end

    def decoded
      AwsLambda::Marshaller.marshall_request(self)
    end
  end

  class Client
    VERSION_PATH = '/2018-06-01/runtime/'
    MAX_HEAD = 1 << 20 # our server's headers are small; a longer head is not HTTP from it
    EXIT_WAIT = 2 # seconds to wait for the answer to a post after which the process ends anyway
    READ_SIZE = 65_536
    SANDBOX_SOCKET = '/run/sluice/runtime.sock' # leads to the same place as 127.0.0.1:9001 at a third of the cost

    # The connection ended where a response was due.
    class Closed < StandardError; end
    # The Runtime API answered in a way after which this process cannot go on.
    class Refused < StandardError; end

    def initialize(address)
      @host, _, @port = address.rpartition(':')
      @tail = "\r\nHost: #{address}\r\nUser-Agent: sluice-ruby/1\r\n"
      @next = "GET #{VERSION_PATH}invocation/next HTTP/1.1#{@tail}\r\n".b.freeze
      @sock = nil
      @buffer = String.new(capacity: READ_SIZE)
      @owed = 0
    end

    # The next event. Raises Refused when there will be none.
    def next_event
      unless @sock
        connect
        @sock.write(@next)
      end
      begin
        read_event
      rescue Closed, SystemCallError, IOError
        # An HTTP server may close a connection between requests, and does after refusing a body.
        connect
        @sock.write(@next)
        read_event
      end
    rescue Closed
      raise Refused, 'the Runtime API closed the connection'
    rescue SystemCallError, IOError => e
      raise Refused, "the Runtime API cannot be reached: #{e.message}"
    end

    # Posts the outcome of the invocation under way and asks for the next one, in one write.
    def settle(path, body, content_type, error_type = nil)
      request = post(path, body, content_type, error_type ? "Lambda-Runtime-Function-Error-Type: #{error_type}\r\n" : '')
      @sock.write(request << @next)
      @owed = 1
    rescue SystemCallError, IOError
      # The server may refuse a body before it has read all of it and hang up; its answer, if any, is lost.
      connect
      @sock.write(@next)
    end

    # Posts something after which the process ends: asks the server to answer now, and does not insist.
    def post_last(path, body, error_type)
      connect unless @sock
      fields = "Lambda-Runtime-Function-Error-Type: #{error_type}\r\nConnection: close\r\n"
      @sock.write(post(path, body, 'application/json', fields))
      response if IO.select([@sock], nil, nil, EXIT_WAIT)
    rescue Closed, Refused, SystemCallError, IOError => e
      warn("[ERROR] the error was not reported: #{e.message}")
    end

    private

    def connect
      @sock&.close
      @buffer.clear
      @owed = 0
      @sock = local || TCPSocket.new(@host, @port.to_i).tap { |tcp| tcp.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) }
    end

    # Any other address than the sandbox's is somebody's proxy, and must be used.
    def local
      UNIXSocket.new(SANDBOX_SOCKET) if @host == '127.0.0.1' && @port == '9001'
    rescue SystemCallError
      nil
    end

    def post(path, body, content_type, fields)
      head = "POST #{VERSION_PATH}#{path} HTTP/1.1#{@tail}Content-Type: #{content_type}\r\n" \
             "#{fields}Content-Length: #{body.bytesize}\r\n\r\n"
      head.b << body.b
    end

    def read_event
      while @owed.positive?
        status, headers, body = response
        @owed -= 1
        raise Refused, "the Runtime API answered #{status}: #{body}" if status >= 500

        warn("[ERROR] Runtime API answered #{status}: #{body}") if status != 202
        raise Closed, 'closed' if headers['connection'].to_s.casecmp?('close')
      end
      status, headers, body = response
      raise Refused, "the Runtime API answered #{status} to next: #{body}" if status != 200

      Event.new(headers, body)
    end

    def response
      loop do
        lines = take_head.split("\r\n")
        status = lines.shift[9, 3].to_i
        next if status < 200 # interim answers have no body (RFC 9110, 15.2)

        headers = {}
        lines.each do |line|
          name, value = line.split(':', 2)
          headers[name.downcase] = value.to_s.strip.force_encoding(Encoding::UTF_8)
        end
        body = headers.key?('transfer-encoding') ? chunked : exactly(headers['content-length'].to_i)
        return [status, headers, body.force_encoding(Encoding::UTF_8)]
      end
    end

    def take_head
      until (length = @buffer.index("\r\n\r\n"))
        raise Refused, 'the Runtime API sent an endless header' if @buffer.bytesize > MAX_HEAD

        more
      end
      @buffer.slice!(0, length + 4)
    end

    def more
      @buffer << @sock.readpartial(READ_SIZE)
    rescue EOFError
      raise Closed, 'the connection was closed'
    end

    def exactly(length)
      more while @buffer.bytesize < length
      @buffer.slice!(0, length)
    end

    def line
      until (length = @buffer.index("\r\n"))
        raise Refused, 'the Runtime API sent an endless line' if @buffer.bytesize > MAX_HEAD

        more
      end
      @buffer.slice!(0, length + 2)
    end

    def chunked
      body = String.new
      while (size = line.to_i(16)).positive?
        body << exactly(size)
        line
      end
      nil until line == "\r\n" # trailers carry nothing for an event
      body
    end
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# A Ruby that was started before it was known for which function (../../README.md, "Blanks"). `wait` loads what AWS's client has
# loaded before the user's code, says that it is ready, and returns when this process has become a function's.
module SluiceRuntime
  module Blank
    MAGIC = 0x534c424b
    HEADER_SIZE = 16
    MAX_BLOCK = 1 << 20
    # RubyGems is not among them: which gems there are is known with the function only, and most need none.
    LIBRARIES = %w[rbconfig monitor stringio uri net/http logger time securerandom].freeze

    class << self
      def wait
        preload
        fork_template if ENV.key?('SLUICE_TEMPLATE')
        $stdin.binmode
        begin
          IO.for_fd(0, 'w', autoclose: false).syswrite('R') # $stdin itself is open for reading only
        rescue SystemCallError, IOError
          nil # nobody is told, and that is all
        end
        become(read_block)
      end

      private

      # logger.rb is ours (see ../shim), as it will be for the function.
      def preload
        shim = "#{SluiceRuntime::HERE}/shim"
        $LOAD_PATH.unshift(shim)
        LIBRARIES.each { |library| require library }
        require_relative 'failure'
        JSON.generate(JSON.parse('{"a":[1,2.5,"x",null]}'))
      ensure
        $LOAD_PATH.delete(shim)
      end

      # In a template: returns in each of its copies (../../README.md, "Templates"), which share what was loaded so far. Their process
      # ids inside their sandboxes are the same, and with them what libraries take for a sign of having been forked; so every
      # generator that may have a state is given a new one.
      def fork_template
        GC.start
        exit!(1) if Process.fork
        Random.srand
        OpenSSL::Random.seed(Random.urandom(48)) if defined?(OpenSSL::Random)
      end

      def fail(text)
        warn("[ERROR] #{text}")
        exit!(1)
      end

      def exactly(size)
        bytes = String.new(capacity: size)
        bytes << $stdin.sysread(size - bytes.bytesize) while bytes.bytesize < size
        bytes
      rescue EOFError, SystemCallError
        bytes.empty? ? exit!(0) : fail('a block ended early') # nothing at all: not needed any more
      end

      # The variables of the block on standard input: [[name, value]].
      def read_block
        magic, argc, envc, size = exactly(HEADER_SIZE).unpack('L4')
        fail('what arrived is no block') if magic != MAGIC || !size.between?(1, MAX_BLOCK)
        texts = exactly(size).split("\0", -1)
        fail('what arrived is no block') if texts.size != 1 + argc + envc + 1
        texts[(1 + argc)...-1].map { |text| text.force_encoding(Encoding::UTF_8).split('=', 2) }
      end

      def become(variables)
        $stdin.reopen('/dev/null')
        ENV.replace(variables.to_h)
      end
    end
  end
end

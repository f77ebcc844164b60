# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# RubyGems, only for functions that need it: loading it costs several times what starting Ruby costs. It is loaded
#   - at once, if the function or a layer brings gems (then `require` must prefer them to the standard library's versions);
#   - else when `require` does not find a file, or when `Gem`, `gem` or Bundler is used.
# Our `Kernel#require` lives only until then: RubyGems puts its own in its place.
module SluiceRuntime
  module Gems
    PARTS = %r{\A(rubygems|bundler)(/|\z)}.freeze
    @loaded = false

    class << self
      # GEM_PATH names AWS's folders for the runtime the function asked for. Served by a Ruby of another version
      # (--nearest-runtime), it may as well bring gems for that one.
      def prepare
        given = ENV['GEM_PATH'].to_s.split(':')
        version = RUBY_VERSION.sub(/\.\d+\z/, '.0') # the ABI version, which names gem folders
        ENV['GEM_PATH'] = given.flat_map { |path| [path.sub(%r{/\d+\.\d+\.\d+\z}, "/#{version}"), path] }.uniq.join(':')
        brought = ENV['GEM_PATH'].split(':').any? { |path| Dir.exist?("#{path}/specifications") }
        brought ? load_now : watch
      end

      # True when this call loaded it.
      def load_now
        return false if @loaded

        @loaded = true
        Kernel.module_eval do
          if private_method_defined?(:sluice_require)
            alias_method :require, :sluice_require
            remove_method :sluice_require, :gem
          end
          private :require
        end
        # nil while it is being resolved, which is one way to get here: then RubyGems itself defines it
        Object.send(:remove_const, :Gem) if Object.autoload?(:Gem)
        require 'rubygems'
        Gem.paths = { 'GEM_PATH' => (ENV['GEM_PATH'].split(':') + Gem.default_path).uniq.join(':') }
        true
      end

      private

      def watch
        Kernel.module_eval do
          alias_method :sluice_require, :require

          def require(path)
            # Parts of RubyGems, and Bundler, expect all of it.
            return require(path) if path.to_s.match?(SluiceRuntime::Gems::PARTS) && SluiceRuntime::Gems.load_now

            sluice_require(path)
          rescue LoadError => e
            raise unless e.path == path && SluiceRuntime::Gems.load_now

            require(path)
          end

          def gem(*arguments)
            SluiceRuntime::Gems.load_now
            gem(*arguments)
          end

          private :require, :sluice_require, :gem
        end
        Object.autoload(:Gem, "#{__dir__}/autoload_gem.rb")
      end
    end
  end
end

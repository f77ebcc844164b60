# frozen_string_literal: true

# SPDX-License-Identifier: Apache-2.0
#
# Runs when the constant Gem is first used (see gems.rb).
SluiceRuntime::Gems.load_now

# SPDX-License-Identifier: Apache-2.0
"""The Ruby bootstrap against a fake Runtime API: wire behaviour, handler forms, AWS's errors and log lines, lazy RubyGems."""

import base64
import json
import os
import re
import shutil
import subprocess

import pytest

from fake_runtime_api import RUNTIMES, FakeRuntimeApi, Runtime, write_files

RUBY = os.environ.get("SLUICE_TEST_RUBY") or next((p for p in ("/usr/bin/ruby", shutil.which("ruby")) if p and os.path.exists(p)), None)
FLAGS = ["--disable=gems,did_you_mean,error_highlight"]
BOOTSTRAP = RUNTIMES / "ruby" / "bootstrap.rb"
GEM_PATH = "/var/task/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"

pytestmark = pytest.mark.skipif(RUBY is None, reason="Ruby is not installed: apt-get install ruby")


@pytest.fixture
def run(tmp_path, api, start_runtime):
    """Starts the bootstrap with files written into the task root."""
    def start(files, handler="app.handler", env=None, to=api):
        files = {"app.rb": files} if isinstance(files, str) else files
        write_files(tmp_path, files)
        return start_runtime([RUBY, *FLAGS, BOOTSTRAP], to, tmp_path, handler, {"GEM_PATH": GEM_PATH, **(env or {})})

    return start


ECHO = "def handler(event:, context:)\n  event\nend\n"


# ------------------------------------------------------------------------------------------ wire


@pytest.mark.parametrize("options", [{}, {"hold_accept": False}, {"chunked": True}, {"drip": 7}, {"close_after_response": True}])
def test_events_of_all_kinds_come_back_unchanged(run, options):
    with FakeRuntimeApi(**options) as api:
        run(ECHO, to=api)
        for event in ({"a": [1, 2.5, None, True, "é 😀"]}, [], "text", 7, None, {"big": "x" * 200000}):
            outcome = api.invoke(event)
            assert (outcome.kind, outcome.json) == ("response", event)


def test_the_response_and_the_next_request_leave_in_one_write(api, run):
    run(ECHO)
    outcomes = [api.invoke(i) for i in range(3)]
    assert all(o.pipelined for o in outcomes)
    assert outcomes[0].headers["user-agent"] == "sluice-ruby/1"
    assert outcomes[0].headers["content-type"] == "application/json"


def test_a_response_that_is_too_large_does_not_end_the_runtime(api, run):
    runtime = run("def handler(event:, context:)\n  'x' * event\nend\n")
    assert api.invoke(6291556 + 200).kind == "response"
    assert api.invoke(3).json == "xxx"
    assert runtime.stderr_line("413")


def test_a_stringio_goes_out_as_it_is(api, run):
    run("def handler(event:, context:)\n  StringIO.new(event.unpack1('m'))\nend\n")
    outcome = api.invoke(base64.b64encode(b"\x00\xff raw").decode())
    assert outcome.body == b"\x00\xff raw"
    assert outcome.headers["content-type"] == "application/unknown"


def test_an_event_of_another_type_is_given_as_text(api, run):
    run("def handler(event:, context:)\n  [event.class.name, event]\nend\n")
    assert api.invoke(b"<a/>", {"Content-Type": "text/xml"}).json == ["String", "<a/>"]


# ------------------------------------------------------------------------------------------ handlers


@pytest.mark.parametrize("handler, path, code", [
    ("app.handler", "app.rb", "def handler(event:, context:)\n  'top'\nend\n"),
    ("src/app.handler", "src/app.rb", "def handler(event:, context:)\n  'top'\nend\n"),
    ("app.Foo.run", "app.rb", "class Foo\n  def self.run(event:, context:)\n    'top'\n  end\nend\n"),
    ("app.A::B.run", "app.rb", "module A\n  module B\n    def self.run(event:, context:)\n      'top'\n    end\n  end\nend\n"),
])  # fmt: skip
def test_all_forms_of_handler_names_work(api, run, handler, path, code):
    run({path: code}, handler)
    assert api.invoke({}).json == "top"


def test_a_file_may_require_another_of_the_function(api, run):
    run({"app.rb": "require 'lib/other'\ndef handler(event:, context:)\n  VALUE\nend\n", "lib/other.rb": "VALUE = 7\n"})
    assert api.invoke({}).json == 7


def test_a_function_may_replace_the_marshaller(api, run):
    run("""
class AwsLambda::Marshaller
  class << self
    def marshall_request(raw)
      raw.body.upcase
    end
    def marshall_response(response)
      [StringIO.new(response + '!'), 'application/unknown']
    end
  end
end
def handler(event:, context:)
  event
end
""")
    assert api.invoke(b"abc").body == b"ABC!"


INIT_ERRORS = {
    "missing file": ({}, "nosuch.handler", "Init<LoadError>", "cannot load such file -- nosuch", "Init<LoadError>"),
    "missing gem": ({"app.rb": "require 'nosuchgem'\n"}, "app.handler", "Init<LoadError>",
                    "cannot load such file -- nosuchgem", "Init<LoadError>"),
    "bad name": ({"app.rb": ""}, "app", "Init<ArgumentError>", 'Invalid handler ["app"], must be of form', "Init<ArgumentError>"),
    "syntax": ({"app.rb": "def handler(\n"}, "app.handler", "Init<SyntaxError>", "", "Function<UserException>"),
    "raises": ({"app.rb": "raise 'gone'\n"}, "app.handler", "Init<RuntimeError>", "gone", "Function<UserException>"),
}  # fmt: skip


@pytest.mark.parametrize("case", INIT_ERRORS)
def test_a_handler_that_cannot_be_loaded_is_an_init_error_of_awss_type(api, run, case):
    files, handler, error_type, message, header = INIT_ERRORS[case]
    runtime = run(files, handler)
    request = api.init_error()
    body = json.loads(request.body)
    assert list(body) == ["errorMessage", "errorType", "stackTrace"]
    assert body["errorType"] == error_type
    assert body["errorMessage"].startswith(message)
    assert request.headers["lambda-runtime-function-error-type"] == header
    assert runtime.exit_code() == 252
    assert runtime.stdout.startswith("Init error when loading handler %s\n{\n" % handler)
    assert str(RUNTIMES) not in "".join(body["stackTrace"])


def test_init_error_traces_name_the_users_lines(api, run, tmp_path):
    run({"app.rb": "require 'lib'\n", "lib.rb": "def f\n  raise KeyError, 'k'\nend\nf\n"})
    trace = json.loads(api.init_error().body)["stackTrace"]
    ours = [line for line in trace if str(tmp_path) in line]
    assert [line.partition(":in ")[0] for line in ours] == ["%s/lib.rb:2" % tmp_path, "%s/lib.rb:4" % tmp_path, "%s/app.rb:1" % tmp_path]


# ------------------------------------------------------------------------------------------ context


def test_the_context_has_awss_attributes(api, run):
    run("""
def handler(event:, context:)
  c = context
  [c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name, c.log_stream_name, c.aws_request_id,
   c.invoked_function_arn, c.identity, c.client_context, c.w3c, c.tenant_id, c.deadline_ms.class.name,
   c.get_remaining_time_in_millis, ENV['_X_AMZN_TRACE_ID']]
end
""")
    invocation = api.start({}, {
        "Lambda-Runtime-Client-Context": '{"custom":{"k":"é"},"w3c":{"traceparent":"00-1","x":"y"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId":"i"}',
        "Lambda-Runtime-Aws-Tenant-Id": "tenant-1",
    }, timeout_ms=20000)  # fmt: skip
    got = invocation.wait().json
    assert got[:5] == ["f", "$LATEST", "128", "/aws/lambda/f", "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef"]
    assert got[5:7] == [invocation.request_id, "arn:aws:lambda:us-east-1:000000000000:function:f"]
    assert got[7:12] == [{"cognitoIdentityId": "i"}, {"custom": {"k": "é"}}, {"traceparent": "00-1"}, "tenant-1", "Integer"]
    assert 0 < got[12] <= 20000
    assert got[13].startswith("Root=1-5bef4de7")
    bare = api.invoke({}, {"Lambda-Runtime-Trace-Id": None}, timeout_ms=-5000).json
    assert bare[7:11] == [None, None, {}, None]
    assert bare[12:] == [0, None]


# ------------------------------------------------------------------------------------------ failures


def test_an_exception_is_reported_and_logged_in_awss_shape(api, run, tmp_path):
    runtime = run("def handler(event:, context:)\n  check(event)\nend\ndef check(x)\n  raise IOError, \"no #{x}\"\nend\n")
    outcome = api.invoke("é")
    assert outcome.kind == "error"
    assert outcome.pipelined
    assert outcome.headers["lambda-runtime-function-error-type"] == "Function<UserException>"
    assert outcome.json["errorMessage"] == "no é"
    assert outcome.json["errorType"] == "Function<IOError>"
    assert [line.partition(":in ")[0] for line in outcome.json["stackTrace"]] == ["%s/app.rb:5" % tmp_path, "%s/app.rb:2" % tmp_path]
    runtime.stdout_line("no é")
    assert runtime.stdout.startswith("Error raised from handler method\n{\n  \"errorMessage\": \"no é\",\n")
    assert api.invoke("again").kind == "error"


CRITICAL = {
    "nosuch": ("Function<NameError>", "undefined local variable or method"),
    "nil.foo": ("Function<NoMethodError>", "undefined method"),
    "exit 3": ("Function<SystemExit>", "exit"),
    "raise NotImplementedError, 'later'": ("Function<NotImplementedError>", "later"),
    "f = ->(x) { f.(x) + 1 }; f.(1)": ("Function<SystemStackError>", "stack level too deep"),
}


@pytest.mark.parametrize("code", CRITICAL)
def test_what_awss_client_takes_for_critical_is_reported_and_ends_the_process(api, run, code):
    runtime = run("def handler(event:, context:)\n  %s\nend\n" % code)
    outcome = api.invoke({})
    assert outcome.kind == "error"
    assert outcome.json["errorType"] == CRITICAL[code][0]
    assert outcome.json["errorMessage"].startswith(CRITICAL[code][1])
    assert len(outcome.json["stackTrace"]) <= 100
    assert runtime.exit_code() == 255
    assert runtime.stdout.startswith("Critical exception from handler\n")


def test_a_missing_method_is_found_out_at_the_first_event(api, run):
    run("x = 1\n")
    outcome = api.invoke({})
    assert outcome.json["errorType"] == "Function<NoMethodError>"
    assert outcome.json["errorMessage"].startswith("undefined method `handler' for ")


@pytest.mark.parametrize("code, error_type", [
    ("\"\\xff\"", "Function<JSON::GeneratorError>"), ("Float::NAN", "Function<JSON::GeneratorError>"),
    ("a = []; a << a", "Function<JSON::NestingError>"),
])  # fmt: skip
def test_a_result_that_is_not_json_is_an_error_of_the_function(api, run, code, error_type):
    run("def handler(event:, context:)\n  event == 0 ? 1 : begin\n    %s\n  end\nend\n" % code)
    assert api.invoke(1).json["errorType"] == error_type
    assert api.invoke(0).json == 1


@pytest.mark.parametrize("body", [b"", b'{"a" 1}', b"[" * 100000])
def test_an_event_that_is_not_json_fails_its_invocation_only(api, run, body):
    run(ECHO)
    assert api.invoke(body).json["errorType"] in ("Function<JSON::ParserError>", "Function<JSON::NestingError>")
    assert api.invoke(b" [1] \n").json == [1]


def test_leaving_the_process_at_once_ends_it(api, run):
    runtime = run("def handler(event:, context:)\n  exit!(5)\nend\n")
    assert api.invoke({}).kind == "crash"
    assert runtime.exit_code() == 5


def test_signal_handlers_run_while_waiting_for_an_event(api, run):
    runtime = run("trap('TERM') { puts 'bye'; exit!(7) }\n" + ECHO)
    assert api.invoke(1).json == 1
    assert api.idle.wait(30)
    runtime.process.terminate()
    assert runtime.exit_code() == 7
    assert runtime.stdout == "bye\n"


# ------------------------------------------------------------------------------------------ gems


def test_a_lean_function_runs_without_rubygems(api, run):
    run("def handler(event:, context:)\n  $LOADED_FEATURES.grep(/rubygems|logger|stringio/)\nend\n")
    assert [api.invoke({}).json, api.invoke({}).json] == [[], []]


@pytest.mark.parametrize("code", [
    "Gem::VERSION", "gem 'json'; Gem::VERSION", "require 'bundler'; Gem::VERSION", "require 'rubygems'; Gem::VERSION",
    "begin; require 'nosuch'; rescue LoadError; end; Gem::VERSION", "require 'rubygems/version'; Gem::Version.new('1').to_s; Gem::VERSION",
])  # fmt: skip
def test_rubygems_comes_when_it_is_used(api, run, code):
    run("def handler(event:, context:)\n  %s\nend\n" % code)
    outcome = api.invoke({})
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", outcome.json), outcome.body


GEMSPEC = """Gem::Specification.new do |s|
  s.name = 'greet'
  s.version = '1.2.0'
  s.summary = 'x'
  s.authors = ['x']
  s.files = ['lib/greet.rb']
  s.require_paths = ['lib']
end
"""


@pytest.mark.parametrize("version", ["own", "3.3.0"])
def test_a_bundled_gem_is_found_under_the_named_and_the_running_version(api, run, tmp_path, version):
    if version == "own":
        version = subprocess.run([RUBY, "--disable=gems", "-e", "print RUBY_VERSION[/\\d+\\.\\d+/] + '.0'"], capture_output=True, text=True).stdout
    folder = "vendor/bundle/ruby/" + version
    run({
        folder + "/specifications/greet-1.2.0.gemspec": GEMSPEC,
        folder + "/gems/greet-1.2.0/lib/greet.rb": "GREETING = 'hello from a gem'\n",
        "app.rb": "require 'greet'\ndef handler(event:, context:)\n  [GREETING, Gem.loaded_specs['greet'].version.to_s]\nend\n",
    }, env={"GEM_PATH": "%s/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0" % tmp_path})  # fmt: skip
    assert api.invoke({}).json == ["hello from a gem", "1.2.0"]


def test_libraries_of_awss_client_are_there_without_a_require(api, run):
    run("def handler(event:, context:)\n  [Net::HTTP.name, URI('http://a/b').path, StringIO.new('x').read, JSON.generate(1), Logger.name]\nend\n")
    assert api.invoke({}).json == ["Net::HTTP", "/b", "x", "1", "Logger"]


# ------------------------------------------------------------------------------------------ logs


def test_output_arrives_line_by_line_during_the_invocation(api, run):
    runtime = run("""
def handler(event:, context:)
  puts 'one', "é"
  warn 'to stderr'
  Thread.stop
end
""")
    api.start(1)
    assert runtime.stdout_line("é") == "é\n"
    assert runtime.stderr_line("to stderr") == "to stderr\n"


def test_loggers_have_awss_text_format(api, run):
    runtime = run("""
require 'logger'
def handler(event:, context:)
  Logger.new($stdout, progname: 'mine').info("hello é")
  quiet = Logger.new($stderr)
  quiet.level = Logger::ERROR
  quiet.warn('hidden')
  File.open('/dev/null', 'w') { |f| Logger.new(f).info('elsewhere') }
end
""")
    invocation = api.start({})
    invocation.wait()
    line = runtime.stdout_line("hello")
    assert re.fullmatch(r"I, \[%s #%d\]  INFO %s -- mine: hello é\n" % (STAMP, runtime.process.pid, invocation.request_id), line)
    assert "hidden" not in runtime.stdout + runtime.stderr and "elsewhere" not in runtime.stdout


def test_loggers_have_awss_json_format_and_level(api, run):
    runtime = run("""
def handler(event:, context:)
  log = Logger.new($stdout)
  log.debug('low')
  log.info('hi')
  begin
    raise ArgumentError, 'bad'
  rescue => e
    log.error(e)
  end
  Logger.new($stdout, progname: 'p', level: Logger::DEBUG).debug('seen')
  raise 'gone'
end
""", env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
    invocation = api.start({})
    invocation.wait()
    runtime.stdout_line("gone")
    lines = [json.loads(line) for line in runtime.stdout.splitlines()]
    assert all(re.fullmatch(STAMP + "Z", line.pop("timestamp")) for line in lines)
    common = {"requestId": invocation.request_id}
    assert lines[0] == {"level": "INFO", "message": "hi", **common}
    assert (lines[1]["errorType"], lines[1]["errorMessage"], lines[1]["message"]) == ("ArgumentError", "bad", "bad")
    assert lines[1]["location"].endswith("app.rb:handler:7")
    assert lines[2] == {"level": "DEBUG", "message": "seen", "logger": "p", **common}
    assert (lines[3]["level"], lines[3]["errorType"], lines[3]["errorMessage"]) == ("ERROR", "Function<RuntimeError>", "gone")
    assert len(lines) == 4

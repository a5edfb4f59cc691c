<?php

declare(strict_types=1);

// The life of one PHP worker: its calls and hooks, one after the other. The files of the function are loaded by
// bootstrap.php, where their variables are global, as FC's are.

namespace Pyfc;

use Pyfc\Psr7\ServerRequest;

const OURS = __DIR__ . '/';
const MOST_HEADERS = 32768;
const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
const EXHAUSTED = '/^(Allowed memory size of|Out of memory)/';

// A handler that is not there, or is called what none can be called.
final class HandlerNotFound extends \RuntimeException
{
}

final class CallerHasLeft extends \RuntimeException
{
}

final class Worker
{
    private Channel $channel;
    private string $handler;
    private array $hooks;
    private string $code;
    private array $told;
    // What is to be answered if the process ends now: frame type, call.
    private array $due = [READY, 0];
    private array $files;
    // What handlers and hooks are called by.
    private array $functions = [];
    // For what is to be done when there is no memory left.
    private ?string $reserve;

    public function __construct(Channel $channel, array $init)
    {
        $this->channel = $channel;
        [$this->handler, $initializer, $this->code, $environment, $this->told] = $init;
        $this->hooks = ['initializer' => $initializer] + $init[12];
        $this->reserve = str_repeat(' ', 256 * 1024);
        $this->live_in($environment);
        $files = array_map(fn ($name) => $this->parts($name)[0], $this->names());
        $this->files = array_values(array_unique($files));
    }

    // What the function names: its handler and its hooks.
    private function names(): array
    {
        return array_filter([$this->handler, ...array_values($this->hooks)]);
    }

    private function live_in(array $environment): void
    {
        foreach (array_keys(getenv()) as $name) {
            putenv((string) $name);
            unset($_SERVER[$name]);
        }
        foreach ($environment as $name => $value) {
            putenv("$name=$value");
            $_SERVER[$name] = $value;
        }
        $_ENV = $environment;
        chdir($this->code);
        set_include_path($this->code . PATH_SEPARATOR . get_include_path());
        $_SERVER['argv'] = $GLOBALS['argv'] = ['php'];
        $_SERVER['argc'] = $GLOBALS['argc'] = 1;
        foreach (['SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_TRANSLATED', 'PHP_SELF'] as $name) {
            $_SERVER[$name] = 'php';
        }
        $GLOBALS['fcLogger'] = new Logger();
        $GLOBALS['fcPhpCgiProxy'] = new LazyProxy();
        spl_autoload_register('Pyfc\load_messages');
    }

    // The next file to load, null when all are.
    public function next_file(): ?string
    {
        return array_shift($this->files);
    }

    // `file.function`, or `folder/file.function`; a further dot is a folder too.
    private function parts(string $name): array
    {
        $dot = strrpos($name, '.');
        if ($dot === false || $dot === 0 || $dot === strlen($name) - 1) {
            return ['', $name];
        }
        $file = substr($name, 0, $dot);
        foreach ([$file, str_replace('.', '/', $file)] as $each) {
            $path = $this->code . '/' . $each . '.php';
            if (is_file($path)) {
                return [$path, substr($name, $dot + 1)];
            }
        }
        return [$path, substr($name, $dot + 1)];
    }

    // What a handler is called by. Raises HandlerNotFound.
    private function find(string $name): string
    {
        [$file, $function] = $this->parts($name);
        if ($file === '') {
            throw new HandlerNotFound("Invalid handler '$name': it must be <file>.<function>");
        }
        if (!is_callable($function)) {
            throw new HandlerNotFound("Handler '$function' is missing on file '" . basename($file) . "'");
        }
        return $function;
    }

    // Raises HandlerNotFound.
    public function check_file(string $path): void
    {
        if ($path === '') {
            throw new HandlerNotFound("Invalid handler '{$this->handler}': it must be <file>.<function>");
        }
        if (!is_file($path)) {
            $shown = substr($path, strlen($this->code) + 1);
            throw new HandlerNotFound("There is no file '$shown' in the function's folder, which its handler is to be in");
        }
    }

    // All files are loaded, or one has raised.
    public function ready(?\Throwable $error): void
    {
        try {
            if ($error !== null) {
                throw $error;
            }
            foreach ($this->names() as $name) {
                $this->functions[$name] = $this->find($name);
            }
        } catch (\Throwable $error) {
            $this->answer([READY, 0], self::fault($error), self::document($error));
            return;
        }
        $this->answer([READY, 0], null, '');
    }

    public function serve(): void
    {
        while (($frame = $this->channel->read()) !== null) {
            [$kind, $call, $header, $payload] = $frame;
            if ($kind === INVOKE) {
                $this->due = [REPLY, $call];
                $this->invoke($call, $header, $payload);
            } elseif ($kind === HOOK) {
                $this->due = [HOOK_DONE, $call];
                $this->run_hook($call, $header);
            } elseif ($kind === STOP) {
                return;
            }
        }
    }

    private function invoke(int $call, array $header, string $first): void
    {
        [, $size, $id, $kind, $attempt, , $http, $trace] = $header;
        $GLOBALS['fcLogger']->requestId = $id;
        try {
            $body = $this->body_of($call, $size, $first);
            $context = context_of($this->told, $id, $attempt, $trace, $header[8] ?? null);
            $function = $this->functions[$this->handler];
            if ($kind === 1) {
                $this->respond($call, $function(self::request($http, $body), $context));
            } else {
                $this->give($call, $function($body, $context));
            }
        } catch (CallerHasLeft $left) {
            $this->answer($this->due, ['UNHANDLED', $left->getMessage(), 'CallerHasLeft'], '');
        } catch (\Throwable $error) {
            $this->answer($this->due, self::fault($error), self::document($error));
        }
        $this->due = [];
    }

    private function body_of(int $call, int $size, string $body): string
    {
        while (strlen($body) < $size) {
            [$kind, $number, , $payload] = $this->next();
            if ($kind === CANCEL && $number === $call) {
                throw new CallerHasLeft('the caller has left');
            }
            if ($kind === DATA && $number === $call) {
                $body .= $payload;
                if (strlen($body) < $size) {
                    $this->channel->write(CREDIT, $call, [strlen($payload)]);
                }
            }
        }
        return $body;
    }

    private function next(): array
    {
        return $this->channel->read() ?? exit(1);  // the server has gone
    }

    // The result of an event function.
    private function give(int $call, $value): void
    {
        $text = is_string($value) ? $value : json_encode($value, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
        if (strlen($text) > UNARY) {
            $this->stream($call, 200, null, strlen($text), [$text]);
        } else {
            $this->channel->write(REPLY, $call, [false, strlen($text), null, 200, null, true], $text);
        }
    }

    private static function request(array $told, string $body): ServerRequest
    {
        [$method, $path, $uri, $client, $pairs] = $told;
        require_once OURS . 'messages.php';
        $headers = [];
        foreach ($pairs as [$name, $value]) {
            $headers[$name][] = $value;
        }
        $host = $headers['host'][0] ?? 'localhost';
        $server = ['REQUEST_METHOD' => $method, 'REQUEST_URI' => $uri, 'REMOTE_ADDR' => $client];
        $request = new ServerRequest($method, self::uri($host, $uri), $headers, $body, '1.1', $server);
        $type = strtolower(trim(explode(';', $headers['content-type'][0] ?? '')[0]));
        if ($type === 'application/x-www-form-urlencoded') {
            parse_str($body, $parsed);
            $request = $request->withParsedBody($parsed);
        }
        $cookies = [];
        foreach (array_filter(explode(';', implode(';', $headers['cookie'] ?? []))) as $each) {
            [$name, $value] = explode('=', trim($each), 2) + [1 => ''];
            $cookies[$name] = urldecode($value);
        }
        return $request->withCookieParams($cookies)->withAttribute('path', $path)->withAttribute('requestURI', $uri)
            ->withAttribute('clientIP', $client);
    }

    // A request may be to an address that parse_url takes for none.
    private static function uri(string $host, string $uri): Psr7\Uri
    {
        [$path, $query] = explode('?', $uri, 2) + [1 => ''];
        try {
            $base = new Psr7\Uri("http://$host");
        } catch (\InvalidArgumentException $error) {
            $base = new Psr7\Uri('http://localhost');
        }
        return $base->withPath($path)->withQuery($query);
    }

    private function respond(int $call, $response): void
    {
        if (!is_object($response) || !method_exists($response, 'getStatusCode') || !method_exists($response, 'getBody')) {
            $found = is_object($response) ? get_class($response) : gettype($response);
            throw new \TypeError("An HTTP handler returns a PSR-7 response, like RingCentral\\Psr7\\Response, not $found");
        }
        $pairs = [];
        $size = 0;
        foreach ($response->getHeaders() as $name => $values) {
            foreach ($values as $value) {
                $pairs[] = [(string) $name, (string) $value];
                $size += strlen((string) $name) + strlen((string) $value);
            }
        }
        if ($size > MOST_HEADERS) {
            throw new \LengthException('the response headers are larger than ' . MOST_HEADERS . ' bytes');
        }
        $this->stream($call, $response->getStatusCode(), $pairs, null, self::pieces($response->getBody()));
    }

    private static function pieces($body): \Generator
    {
        if ($body->isSeekable()) {
            $body->rewind();
        }
        while (!$body->eof()) {
            yield $body->read(65536);
        }
    }

    // An answer in pieces, each sent when there is credit for it.
    private function stream(int $call, int $status, ?array $headers, ?int $size, iterable $pieces): void
    {
        $credit = PIECE;
        $this->channel->write(REPLY, $call, [true, $size, null, $status, $headers, false]);
        $this->due = [END, $call];
        foreach ($pieces as $piece) {
            for ($at = 0; $at < strlen($piece); $at += strlen($part)) {
                while ($credit <= 0) {
                    $credit += $this->credit($call);
                }
                $part = substr($piece, $at, min($credit, PIECE));
                $this->channel->write(DATA, $call, [true], $part);
                $credit -= strlen($part);
            }
        }
        $this->answer([END, $call], null, '');
    }

    private function credit(int $call): int
    {
        [$kind, $number, $header] = $this->next();
        if ($kind === CANCEL && $number === $call) {
            throw new CallerHasLeft('the caller has left');
        }
        return $kind === CREDIT && $number === $call ? $header[0] : 0;
    }

    private function run_hook(int $call, array $header): void
    {
        [$name, $id] = $header;
        $GLOBALS['fcLogger']->requestId = $id;
        try {
            $this->functions[$this->hooks[$name]](context_of($this->told, $id));
            $this->answer([HOOK_DONE, $call], null, '');
        } catch (\Throwable $error) {
            $this->answer([HOOK_DONE, $call], self::fault($error), self::document($error));
        }
    }

    // The last frame of something.
    private function answer(array $due, ?array $fault, string $text): void
    {
        [$kind, $call] = $due;
        $this->due = [];
        if ($kind === REPLY) {
            $this->channel->write(REPLY, $call, [false, strlen($text), $fault, 200, null, true], $text);
        } elseif ($kind === END) {
            $this->channel->write(END, $call, [$fault, true]);
        } else {
            $this->channel->write($kind, $call, [$fault], $text);
        }
    }

    // The process ends. What PHP cannot go on after is the function's error; what else ends it, and that there was no
    // memory left, the server tells.
    public function end(): void
    {
        $this->reserve = null;
        $last = error_get_last();
        if ($this->due === [] || $last === null || !($last['type'] & FATAL)) {
            return;
        }
        [$message] = explode("\nStack trace:", $last['message'], 2);
        if (!preg_match(EXHAUSTED, $message)) {
            $stack = ['file' => $last['file'], 'line' => $last['line'], 'traceString' => ''];
            $text = self::json($message, 'FatalError', $stack);
            $this->answer($this->due, ['UNHANDLED', substr($message, 0, 1000), 'FatalError'], $text);
        }
    }

    // Where the function is when its time is over.
    public static function stop(): void
    {
        $lines = [];
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS) as $frame) {
            if (isset($frame['file']) && strncmp($frame['file'], OURS, strlen(OURS)) !== 0) {
                $lines[] = "{$frame['file']}:{$frame['line']} {$frame['function']}()";
            }
        }
        fwrite(STDERR, "Function timed out; it was here:\n  " . implode("\n  ", $lines) . "\n");
        exit(143);
    }

    private static function fault(\Throwable $error): array
    {
        return ['UNHANDLED', substr($error->getMessage(), 0, 1000), get_class($error)];
    }

    // FC's error document. Lines of the stack that are pyfc's own tell nobody anything.
    private static function document(\Throwable $error): string
    {
        $lines = array_filter(
            explode("\n", $error->getTraceAsString()),
            fn ($line) => strpos($line, OURS) === false && substr($line, -6) !== '{main}'
        );
        $ours = strncmp($error->getFile(), OURS, strlen(OURS)) === 0;
        $stack = [
            'file' => $ours ? '' : $error->getFile(), 'line' => $ours ? 0 : $error->getLine(),
            'traceString' => implode("\n", $lines),
        ];
        return self::json($error->getMessage(), get_class($error), $stack);
    }

    private static function json(string $message, string $type, array $stack): string
    {
        $document = ['errorMessage' => $message, 'errorType' => $type, 'stackTrace' => $stack];
        return json_encode($document, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
    }
}

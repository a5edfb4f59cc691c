<?php

declare(strict_types=1);

// What a function gets beside the event: FC's context, an array, and the logger of $GLOBALS['fcLogger'].

namespace Pyfc;

// `$told`: Init's context. `$trace`: of an Invoke. `$alias`: by which the function was called, if it was.
function context_of(array $told, string $id, int $attempt = 0, ?array $trace = null, ?string $alias = null): array
{
    [$span, $baggages] = $trace ?? ['', []];
    $credentials = $told['credentials'];
    $function = $told['function'];
    $service = $told['service'];
    return [
        'requestId' => $id,
        'credentials' => [
            'accessKeyId' => $credentials['access_key_id'],
            'accessKeySecret' => $credentials['access_key_secret'],
            'securityToken' => $credentials['security_token'],
        ],
        'function' => [
            'name' => $function['name'],
            'handler' => $function['handler'],
            'memory' => $function['memory'],
            'timeout' => $function['timeout'],
            'initializer' => $function['initializer'] ?? '',
            'initializationTimeout' => $function['initialization_timeout'] ?? 0,
        ],
        'service' => [
            'name' => $service['name'],
            'logProject' => $service['log_project'],
            'logStore' => $service['log_store'],
            'qualifier' => $alias ?: $service['qualifier'],
            'versionId' => $service['version_id'],
        ],
        'region' => $told['region'],
        'accountId' => $told['account_id'],
        'retryCount' => $attempt,
        'tracing' => [
            'openTracingSpanContext' => $span,
            'openTracingSpanBaggages' => $baggages,
            'jaegerEndpoint' => $told['jaeger_endpoint'] ?? '',
        ],
    ];
}

// Writes lines as FC's loggers do. It has PSR-3's methods and the short names that Monolog has for them.
final class Logger
{
    public string $requestId = '';

    public function log($level, $message, array $context = []): void
    {
        $text = (string) $message;
        foreach ($context as $name => $value) {
            if (is_scalar($value) || $value === null || (is_object($value) && method_exists($value, '__toString'))) {
                $text = str_replace('{' . $name . '}', (string) $value, $text);
            }
        }
        $time = gmdate('Y-m-d\TH:i:s', (int) ($now = microtime(true))) . sprintf('.%03dZ', (int) ($now * 1000) % 1000);
        fwrite(STDOUT, "$time {$this->requestId} [" . strtoupper((string) $level) . "] $text\n");
    }

    public function debug($message, array $context = []): void
    {
        $this->log('debug', $message, $context);
    }

    public function info($message, array $context = []): void
    {
        $this->log('info', $message, $context);
    }

    public function notice($message, array $context = []): void
    {
        $this->log('notice', $message, $context);
    }

    public function warning($message, array $context = []): void
    {
        $this->log('warning', $message, $context);
    }

    public function warn($message, array $context = []): void
    {
        $this->log('warning', $message, $context);
    }

    public function error($message, array $context = []): void
    {
        $this->log('error', $message, $context);
    }

    public function err($message, array $context = []): void
    {
        $this->log('error', $message, $context);
    }

    public function critical($message, array $context = []): void
    {
        $this->log('critical', $message, $context);
    }

    public function crit($message, array $context = []): void
    {
        $this->log('critical', $message, $context);
    }

    public function alert($message, array $context = []): void
    {
        $this->log('alert', $message, $context);
    }

    public function emergency($message, array $context = []): void
    {
        $this->log('emergency', $message, $context);
    }

    public function emerg($message, array $context = []): void
    {
        $this->log('emergency', $message, $context);
    }
}

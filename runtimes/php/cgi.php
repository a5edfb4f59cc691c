<?php

declare(strict_types=1);

// $GLOBALS['fcPhpCgiProxy']: runs scripts of web applications (WordPress, Laravel) by php-cgi, which is started when it is
// first asked for and lives as long as the instance. It is spoken to by FastCGI.

namespace ServerlessFC;

final class PhpCgiProxy
{
    private const BEGIN = 1;
    private const END = 3;
    private const PARAMS = 4;
    private const STDIN = 5;
    private const STDOUT = 6;
    private const STDERR = 7;
    private const LARGEST = 65535;
    private const START = 5.0;  // seconds until php-cgi must listen
    private const TYPES = [
        'html' => 'text/html', 'htm' => 'text/html', 'css' => 'text/css', 'js' => 'application/javascript',
        'mjs' => 'application/javascript', 'json' => 'application/json', 'map' => 'application/json', 'txt' => 'text/plain',
        'xml' => 'application/xml', 'csv' => 'text/csv', 'md' => 'text/markdown', 'svg' => 'image/svg+xml',
        'png' => 'image/png', 'jpg' => 'image/jpeg', 'jpeg' => 'image/jpeg', 'gif' => 'image/gif', 'webp' => 'image/webp',
        'ico' => 'image/x-icon', 'bmp' => 'image/bmp', 'woff' => 'font/woff', 'woff2' => 'font/woff2', 'ttf' => 'font/ttf',
        'otf' => 'font/otf', 'eot' => 'application/vnd.ms-fontobject', 'pdf' => 'application/pdf', 'zip' => 'application/zip',
        'gz' => 'application/gzip', 'mp3' => 'audio/mpeg', 'mp4' => 'video/mp4', 'webm' => 'video/webm',
    ];

    private $process = null;
    private string $socket = '';

    // Answers a request by a script. `$params`: of FastCGI, beside or instead of those of the request. `$options`:
    // readWriteTimeout (ms), debug_show_cgi_params. Throws RuntimeException.
    public function requestPhpCgi($request, string $root, string $script, array $params = [], array $options = [])
    {
        $body = (string) $request->getBody();
        $params += self::params($request, $root, $script, strlen($body));
        if ($options['debug_show_cgi_params'] ?? false) {
            echo 'CGI parameters: ', json_encode($params), "\n";
        }
        $connection = $this->connected();
        $timeout = (int) ($options['readWriteTimeout'] ?? 60000);
        stream_set_timeout($connection, intdiv($timeout, 1000), $timeout % 1000 * 1000);
        try {
            $this->send($connection, $params, $body);
            return self::response($this->received($connection));
        } catch (\RuntimeException $error) {
            proc_terminate($this->process, 9);  // it may be at that script for long
            proc_close($this->process);
            $this->process = null;
            throw $error;
        } finally {
            fclose($connection);
        }
    }

    // The media type of a file, by its name.
    public function getMimeType(string $path): string
    {
        return self::TYPES[strtolower(pathinfo($path, PATHINFO_EXTENSION))] ?? 'application/octet-stream';
    }

    // What CGI says of a request. A path that leads to a script of its own is answered by that.
    private static function params($request, string $root, string $script, int $length): array
    {
        $uri = (string) $request->getAttribute('requestURI');
        $path = (string) $request->getAttribute('path');
        [$name, $info] = preg_match('#^(.*?\.php)(/.*)?$#', $path, $found) ? [$found[1], $found[2] ?? ''] : ["/$script", ''];
        $params = [
            'GATEWAY_INTERFACE' => 'CGI/1.1', 'SERVER_SOFTWARE' => 'pyfc', 'SERVER_PROTOCOL' => 'HTTP/1.1',
            'SERVER_NAME' => $request->getUri()->getHost(), 'SERVER_PORT' => '80',
            'REMOTE_ADDR' => (string) $request->getAttribute('clientIP'), 'REQUEST_METHOD' => $request->getMethod(),
            'REQUEST_URI' => $uri, 'QUERY_STRING' => $request->getUri()->getQuery(), 'DOCUMENT_ROOT' => $root,
            'SCRIPT_NAME' => $name, 'SCRIPT_FILENAME' => rtrim($root, '/') . $name, 'PATH_INFO' => $info,
            'CONTENT_TYPE' => $request->getHeaderLine('content-type'), 'CONTENT_LENGTH' => (string) $length,
            'REDIRECT_STATUS' => '200',
        ];
        foreach ($request->getHeaders() as $header => $values) {
            $params['HTTP_' . strtoupper(strtr((string) $header, '-', '_'))] = implode(', ', $values);
        }
        unset($params['HTTP_PROXY']);  // programs take it for the address of their proxy
        return $params;
    }

    private function connected()
    {
        if ($this->process === null || !proc_get_status($this->process)['running']) {
            $this->start();
        }
        $end = microtime(true) + self::START;
        while (($connection = @stream_socket_client("unix://{$this->socket}", $_, $error, self::START)) === false) {
            if (microtime(true) > $end || !proc_get_status($this->process)['running']) {
                throw new \RuntimeException("php-cgi does not listen: $error");
            }
            usleep(2000);
        }
        return $connection;
    }

    private function start(): void
    {
        $program = null;
        $version = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        foreach (explode(PATH_SEPARATOR, (string) getenv('PATH') . PATH_SEPARATOR . PHP_BINDIR) as $folder) {
            foreach (["php-cgi$version", 'php-cgi'] as $name) {
                $program = $program ?? (is_executable("$folder/$name") ? "$folder/$name" : null);
            }
        }
        if ($program === null) {
            throw new \RuntimeException('php-cgi is not installed (apt install php-cgi), and requestPhpCgi runs scripts by it');
        }
        $this->socket = sys_get_temp_dir() . '/php-cgi-' . bin2hex(random_bytes(6)) . '.sock';
        $environment = ['PHP_FCGI_CHILDREN' => '0', 'PHP_FCGI_MAX_REQUESTS' => '0'] + getenv();
        $files = [['file', '/dev/null', 'r'], STDOUT, STDERR];
        $this->process = proc_open([$program, '-b', $this->socket], $files, $_, null, $environment);
        if ($this->process === false) {
            $this->process = null;
            throw new \RuntimeException("$program could not be started");
        }
    }

    private function send($connection, array $params, string $body): void
    {
        $pairs = '';
        foreach ($params as $name => $value) {
            $value = (string) $value;
            $pairs .= self::length(strlen($name)) . self::length(strlen($value)) . $name . $value;
        }
        $text = self::record(self::BEGIN, pack('nCx5', 1, 0));
        foreach ([[self::PARAMS, $pairs], [self::STDIN, $body]] as [$kind, $content]) {
            foreach ($content === '' ? [] : str_split($content, self::LARGEST) as $piece) {
                $text .= self::record($kind, $piece);
            }
            $text .= self::record($kind, '');
        }
        while ($text !== '') {
            $done = fwrite($connection, $text);
            if (!$done) {
                throw new \RuntimeException('php-cgi does not take the request');
            }
            $text = (string) substr($text, $done);
        }
    }

    // What the script has written.
    private function received($connection): string
    {
        $text = '';
        while (true) {
            ['kind' => $kind, 'size' => $size, 'padding' => $padding] =
                unpack('Cversion/Ckind/nid/nsize/Cpadding/x', self::read($connection, 8));
            $content = substr(self::read($connection, $size + $padding), 0, $size);
            if ($kind === self::STDOUT) {
                $text .= $content;
            } elseif ($kind === self::STDERR) {
                fwrite(STDERR, $content);
            } elseif ($kind === self::END) {
                return $text;
            }
        }
    }

    private static function read($connection, int $size): string
    {
        $found = '';
        while (strlen($found) < $size) {
            $piece = fread($connection, $size - strlen($found));
            if ($piece === false || $piece === '') {
                $late = stream_get_meta_data($connection)['timed_out'];
                throw new \RuntimeException($late ? 'php-cgi has not answered in time' : 'php-cgi has ended');
            }
            $found .= $piece;
        }
        return $found;
    }

    private static function response(string $text)
    {
        [$head, $body] = preg_split('/\r?\n\r?\n/', $text, 2) + [1 => ''];
        $status = 200;
        $headers = [];
        foreach (preg_split('/\r?\n/', $head) as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            if (strtolower($name) === 'status') {
                $status = (int) trim($value);
            } elseif (trim($name) !== '') {
                $headers[$name][] = trim($value);
            }
        }
        return new \RingCentral\Psr7\Response($status, $headers, $body);
    }

    private static function record(int $kind, string $content): string
    {
        return pack('CCnnxx', 1, $kind, 1, strlen($content)) . $content;
    }

    private static function length(int $size): string
    {
        return $size < 128 ? chr($size) : pack('N', $size | 0x80000000);
    }
}

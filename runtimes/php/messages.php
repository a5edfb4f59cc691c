<?php

declare(strict_types=1);

// The classes of psr7.php.

namespace Pyfc\Psr7;

use Psr\Http\Message\MessageInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UriInterface;

// A body: a text, an open file, or an iterator whose pieces are taken when they are read.
class Stream implements StreamInterface
{
    private $file;
    private ?\Iterator $pieces = null;
    // The next piece is made when it is asked for: what it raises must not take the one before with it.
    private bool $isTaken = false;

    public function __construct($body = '')
    {
        if (is_resource($body)) {
            $this->file = $body;
            return;
        }
        $this->file = fopen('php://temp', 'r+b');
        if ($body instanceof \Iterator) {
            $this->pieces = $body;
        } elseif ($body !== null && $body !== '') {
            fwrite($this->file, (string) $body);
            rewind($this->file);
        }
    }

    // A body as it is, or a stream of it.
    public static function of($body): StreamInterface
    {
        return $body instanceof StreamInterface ? $body : new self($body);
    }

    public function __toString(): string
    {
        if ($this->isSeekable()) {
            $this->rewind();
        }
        return $this->getContents();
    }

    public function close(): void
    {
        if (is_resource($this->file)) {
            fclose($this->file);
        }
        $this->detach();
    }

    public function detach()
    {
        [$file, $this->file, $this->pieces] = [$this->file, null, null];
        return $file;
    }

    public function getSize(): ?int
    {
        return $this->file === null || $this->pieces !== null ? null : (fstat($this->file)['size'] ?? null);
    }

    public function tell(): int
    {
        return (int) ftell($this->opened());
    }

    public function eof(): bool
    {
        if ($this->pieces !== null) {
            if ($this->isTaken) {
                $this->isTaken = false;
                $this->pieces->next();
            }
            return !$this->pieces->valid();
        }
        return $this->file === null || feof($this->file)
            || ($this->isSeekable() && ftell($this->file) >= (int) $this->getSize());
    }

    public function isSeekable(): bool
    {
        return $this->pieces === null && $this->file !== null && $this->getMetadata('seekable') === true;
    }

    public function seek($offset, $whence = SEEK_SET): void
    {
        if (!$this->isSeekable() || fseek($this->opened(), $offset, $whence) !== 0) {
            throw new \RuntimeException('The stream cannot seek there.');
        }
    }

    public function rewind(): void
    {
        $this->seek(0);
    }

    public function isWritable(): bool
    {
        return $this->pieces === null && strpbrk((string) $this->getMetadata('mode'), 'waxc+') !== false;
    }

    public function write($string): int
    {
        $done = $this->isWritable() ? fwrite($this->opened(), $string) : false;
        if ($done === false) {
            throw new \RuntimeException('The stream cannot be written.');
        }
        return $done;
    }

    public function isReadable(): bool
    {
        return $this->pieces !== null || strpbrk((string) $this->getMetadata('mode'), 'r+') !== false;
    }

    public function read($length): string
    {
        if ($this->pieces !== null) {
            $this->isTaken = !$this->eof();
            return $this->isTaken ? (string) $this->pieces->current() : '';
        }
        $found = $this->isReadable() ? fread($this->opened(), $length) : false;
        if ($found === false) {
            throw new \RuntimeException('The stream cannot be read.');
        }
        return $found;
    }

    public function getContents(): string
    {
        $found = '';
        while (!$this->eof()) {
            $found .= $this->read(65536);
        }
        return $found;
    }

    public function getMetadata($key = null)
    {
        $known = $this->file === null ? [] : stream_get_meta_data($this->file);
        return $key === null ? $known : ($known[$key] ?? null);
    }

    private function opened()
    {
        if ($this->file === null) {
            throw new \RuntimeException('The stream is detached.');
        }
        return $this->file;
    }
}

// An address, by its parts as parse_url names them.
class Uri implements UriInterface
{
    private const PORTS = ['http' => 80, 'https' => 443];

    private array $parts;

    public function __construct($uri = '')
    {
        $parts = parse_url((string) $uri);
        if ($parts === false) {
            throw new \InvalidArgumentException("This is no URI: $uri");
        }
        $this->parts = $parts;
    }

    public function getScheme(): string
    {
        return strtolower($this->parts['scheme'] ?? '');
    }

    public function getAuthority(): string
    {
        $port = $this->getPort();
        $user = $this->getUserInfo();
        return ($user === '' ? '' : "$user@") . $this->getHost() . ($port === null ? '' : ":$port");
    }

    public function getUserInfo(): string
    {
        return ($this->parts['user'] ?? '') . (isset($this->parts['pass']) ? ":{$this->parts['pass']}" : '');
    }

    public function getHost(): string
    {
        return strtolower($this->parts['host'] ?? '');
    }

    public function getPort(): ?int
    {
        $port = $this->parts['port'] ?? null;
        return $port === (self::PORTS[$this->getScheme()] ?? null) ? null : $port;
    }

    public function getPath(): string
    {
        return $this->parts['path'] ?? '';
    }

    public function getQuery(): string
    {
        return $this->parts['query'] ?? '';
    }

    public function getFragment(): string
    {
        return $this->parts['fragment'] ?? '';
    }

    public function withScheme($scheme): UriInterface
    {
        return $this->with(['scheme' => $scheme]);
    }

    public function withUserInfo($user, $password = null): UriInterface
    {
        return $this->with(['user' => $user, 'pass' => $password]);
    }

    public function withHost($host): UriInterface
    {
        return $this->with(['host' => $host]);
    }

    public function withPort($port): UriInterface
    {
        return $this->with(['port' => $port]);
    }

    public function withPath($path): UriInterface
    {
        return $this->with(['path' => $path]);
    }

    public function withQuery($query): UriInterface
    {
        return $this->with(['query' => ltrim((string) $query, '?')]);
    }

    public function withFragment($fragment): UriInterface
    {
        return $this->with(['fragment' => ltrim((string) $fragment, '#')]);
    }

    public function __toString(): string
    {
        $authority = $this->getAuthority();
        return ($this->getScheme() === '' ? '' : $this->getScheme() . ':') . ($authority === '' ? '' : "//$authority")
            . $this->getPath() . ($this->getQuery() === '' ? '' : '?' . $this->getQuery())
            . ($this->getFragment() === '' ? '' : '#' . $this->getFragment());
    }

    private function with(array $parts): self
    {
        $new = clone $this;
        $new->parts = array_filter($parts + $this->parts, fn ($part) => $part !== null && $part !== '');
        return $new;
    }
}

// What requests and responses have in common. Names of headers are kept as they were written.
abstract class Message implements MessageInterface
{
    private string $version;
    private array $headers = [];
    private StreamInterface $body;

    protected function keep(array $headers, $body, $version): void
    {
        $this->body = Stream::of($body);
        $this->version = (string) $version;
        foreach ($headers as $name => $value) {
            $this->put((string) $name, $value, true);
        }
    }

    public function getProtocolVersion(): string
    {
        return $this->version;
    }

    public function withProtocolVersion($version): MessageInterface
    {
        return $this->changed(function (self $new) use ($version) { $new->version = (string) $version; });
    }

    public function getHeaders(): array
    {
        return array_column($this->headers, 1, 0);
    }

    public function hasHeader($name): bool
    {
        return isset($this->headers[strtolower($name)]);
    }

    public function getHeader($name): array
    {
        return $this->headers[strtolower($name)][1] ?? [];
    }

    public function getHeaderLine($name): string
    {
        return implode(', ', $this->getHeader($name));
    }

    public function withHeader($name, $value): MessageInterface
    {
        return $this->changed(function (self $new) use ($name, $value) { $new->put($name, $value, false); });
    }

    public function withAddedHeader($name, $value): MessageInterface
    {
        return $this->changed(function (self $new) use ($name, $value) { $new->put($name, $value, true); });
    }

    public function withoutHeader($name): MessageInterface
    {
        return $this->changed(function (self $new) use ($name) { unset($new->headers[strtolower($name)]); });
    }

    public function getBody(): StreamInterface
    {
        return $this->body;
    }

    public function withBody(StreamInterface $body): MessageInterface
    {
        return $this->changed(function (self $new) use ($body) { $new->body = $body; });
    }

    protected function changed(callable $change): self
    {
        $new = clone $this;
        $change($new);
        return $new;
    }

    private function put(string $name, $value, bool $adds): void
    {
        $key = strtolower($name);
        $values = array_map(fn ($each) => trim((string) $each, " \t"), array_values(is_array($value) ? $value : [$value]));
        [$first, $before] = $adds ? ($this->headers[$key] ?? [$name, []]) : [$name, []];
        $this->headers[$key] = [$first, array_merge($before, $values)];
    }
}

class Response extends Message implements ResponseInterface
{
    private int $status;
    private string $reason;

    public function __construct($status = 200, array $headers = [], $body = null, $version = '1.1', $reason = null)
    {
        $this->keep($headers, $body, $version);
        $this->status = (int) $status;
        $this->reason = (string) $reason;
    }

    public function getStatusCode(): int
    {
        return $this->status;
    }

    public function getReasonPhrase(): string
    {
        return $this->reason;
    }

    public function withStatus($code, $reasonPhrase = ''): ResponseInterface
    {
        return $this->changed(function (self $new) use ($code, $reasonPhrase) {
            $new->status = (int) $code;
            $new->reason = (string) $reasonPhrase;
        });
    }
}

class Request extends Message implements RequestInterface
{
    private string $method;
    private UriInterface $uri;
    private ?string $target = null;

    public function __construct($method, $uri, array $headers = [], $body = null, $version = '1.1')
    {
        $this->method = (string) $method;
        $this->uri = $uri instanceof UriInterface ? $uri : new Uri($uri);
        $this->keep($headers, $body, $version);
    }

    public function getRequestTarget(): string
    {
        $query = $this->uri->getQuery();
        return $this->target ?? (($this->uri->getPath() ?: '/') . ($query === '' ? '' : "?$query"));
    }

    public function withRequestTarget($requestTarget): RequestInterface
    {
        return $this->changed(function (self $new) use ($requestTarget) { $new->target = (string) $requestTarget; });
    }

    public function getMethod(): string
    {
        return $this->method;
    }

    public function withMethod($method): RequestInterface
    {
        return $this->changed(function (self $new) use ($method) { $new->method = (string) $method; });
    }

    public function getUri(): UriInterface
    {
        return $this->uri;
    }

    public function withUri(UriInterface $uri, $preserveHost = false): RequestInterface
    {
        $new = $this->changed(function (self $new) use ($uri) { $new->uri = $uri; });
        $keeps = $uri->getHost() === '' || ($preserveHost && $this->getHeaderLine('Host') !== '');
        return $keeps ? $new : $new->withHeader('Host', $uri->getAuthority());
    }
}

class ServerRequest extends Request implements ServerRequestInterface
{
    private array $server;
    private array $cookies = [];
    private array $query = [];
    private array $files = [];
    private $parsed = null;
    private array $attributes = [];

    public function __construct($method, $uri, array $headers = [], $body = null, $version = '1.1', array $server = [])
    {
        parent::__construct($method, $uri, $headers, $body, $version);
        $this->server = $server;
        parse_str($this->getUri()->getQuery(), $this->query);
    }

    public function getServerParams(): array
    {
        return $this->server;
    }

    public function getCookieParams(): array
    {
        return $this->cookies;
    }

    public function withCookieParams(array $cookies): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($cookies) { $new->cookies = $cookies; });
    }

    public function getQueryParams(): array
    {
        return $this->query;
    }

    public function withQueryParams(array $query): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($query) { $new->query = $query; });
    }

    public function getUploadedFiles(): array
    {
        return $this->files;
    }

    public function withUploadedFiles(array $uploadedFiles): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($uploadedFiles) { $new->files = $uploadedFiles; });
    }

    public function getParsedBody()
    {
        return $this->parsed;
    }

    public function withParsedBody($data): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($data) { $new->parsed = $data; });
    }

    public function getAttributes(): array
    {
        return $this->attributes;
    }

    public function getAttribute($name, $default = null)
    {
        return $this->attributes[$name] ?? $default;
    }

    public function withAttribute($name, $value): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($name, $value) { $new->attributes[$name] = $value; });
    }

    public function withoutAttribute($name): ServerRequestInterface
    {
        return $this->changed(function (self $new) use ($name) { unset($new->attributes[$name]); });
    }
}

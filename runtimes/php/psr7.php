<?php

declare(strict_types=1);

// HTTP messages as PSR-7 has them, under the names that FC's functions use. A function that brings such a package has
// its own: composer's loader comes before this one. Parameters have no types, so that these classes fit the interfaces
// of each version of psr/http-message.

namespace Pyfc;

const PSR = [
    'MessageInterface' => '',
    'RequestInterface' => 'MessageInterface',
    'ServerRequestInterface' => 'RequestInterface',
    'ResponseInterface' => 'MessageInterface',
    'StreamInterface' => '',
    'UriInterface' => '',
];
const PACKAGES = ['RingCentral\\Psr7\\', 'GuzzleHttp\\Psr7\\'];
const MESSAGES = ['Response', 'Request', 'ServerRequest', 'Stream', 'Uri'];

// $GLOBALS['fcPhpCgiProxy'], which few functions use.
final class LazyProxy
{
    private ?\ServerlessFC\PhpCgiProxy $proxy = null;

    public function __call(string $name, array $arguments)
    {
        $this->proxy = $this->proxy ?? new \ServerlessFC\PhpCgiProxy();
        return $this->proxy->$name(...$arguments);
    }
}

// Finds the names that a function's own packages do not have.
function load_messages(string $name): void
{
    if (strncmp($name, 'Psr\\Http\\Message\\', 17) === 0 && isset(PSR[$short = substr($name, 17)])) {
        eval('namespace Psr\Http\Message; interface ' . $short . (PSR[$short] ? ' extends ' . PSR[$short] : '') . ' {}');
        return;
    }
    if ($name === 'ServerlessFC\\PhpCgiProxy') {
        require_once __DIR__ . '/cgi.php';
        return;
    }
    foreach (PACKAGES as $package) {
        $short = substr($name, strlen($package));
        if (strncmp($name, $package, strlen($package)) === 0 && in_array($short, MESSAGES, true)) {
            require_once __DIR__ . '/messages.php';
            class_alias("Pyfc\\Psr7\\$short", $name);
            return;
        }
    }
}

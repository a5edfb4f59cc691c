<?php

// A PHP worker: Hello, Init, the function's files, and then its hooks and calls. Files are loaded here, at the top level:
// their variables are global, as functions of FC expect of `global $client`.

namespace Pyfc;

require __DIR__ . '/wire.php';
require __DIR__ . '/context.php';
require __DIR__ . '/psr7.php';
require __DIR__ . '/worker.php';

final class Process
{
    public static Worker $worker;
    public static ?string $file;
    public static ?\Throwable $error = null;

    // Whether there is anything to do.
    public static function begin(): bool
    {
        $channel = new Channel(3, 4);
        $channel->write(HELLO, 0, [VERSION, 'php']);
        $frame = $channel->read();
        if ($frame === null || $frame[0] !== INIT) {
            return false;
        }
        if (function_exists('pcntl_async_signals')) {
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, [Worker::class, 'stop']);
        }
        self::$worker = new Worker($channel, $frame[2]);
        register_shutdown_function([self::$worker, 'end']);
        return true;
    }

    public static function next(): bool
    {
        self::$file = self::$worker->next_file();
        return self::$file !== null;
    }
}

if (Process::begin()) {
    try {
        while (Process::next()) {
            Process::$worker->check_file(Process::$file);
            require_once Process::$file;
        }
    } catch (\Throwable $_) {
        Process::$error = $_;
        unset($_);
    }
    Process::$worker->ready(Process::$error);
    Process::$worker->serve();
}

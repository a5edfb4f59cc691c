#!/usr/bin/env bash
# aliyun-oss-go-sdk 3.0.2 encodes one key in two ways: in the path of a request a space is %20, in the header
# x-oss-copy-source of CopyObject it is a plus, which every other client of OSS means literally there. And its signatures of
# version 4 have no x-oss-date: what is signed as the time is the text of the Date header, not the ISO form that others sign.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOFLAGS=-mod=mod GOPATH="$folder/go"
cat > go.mod <<'P'
module seen

go 1.22
P
cat > main.go <<'P'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if source := r.Header.Get("x-oss-copy-source"); source != "" {
			fmt.Println("copy source:", source)
			io.WriteString(w, "<CopyObjectResult></CopyObjectResult>")
			return
		}
		fmt.Println("path:", r.URL.EscapedPath())
		fmt.Println("x-oss-date is sent:", r.Header.Get("x-oss-date") != "")
		fmt.Println("signature of version 4:", strings.HasPrefix(r.Header.Get("Authorization"), "OSS4-HMAC-SHA256 "))
	}))
	defer server.Close()
	client, err := oss.New(server.URL, "id", "secret", oss.AuthVersion(oss.AuthV4), oss.Region("cn-hangzhou"))
	if err != nil {
		panic(err)
	}
	bucket, err := client.Bucket("photos")
	if err != nil {
		panic(err)
	}
	bucket.PutObject("a b+c", strings.NewReader("x"))
	bucket.CopyObject("a b+c", "copy")
}
P
go get github.com/aliyun/aliyun-oss-go-sdk@v3.0.2+incompatible 2> errors || { cat errors; exit 1; }
go run . | tee seen
echo "aliyun-oss-go-sdk 3.0.2, $(go version)"
[ "$(cat seen)" = "path: /photos/a%20b%2Bc
x-oss-date is sent: false
signature of version 4: true
copy source: /photos/a+b%2Bc" ]

// The life of a logstore with SLS's client for Go, unmodified: ADDRESS PROJECT KEY SECRET VERSION.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
)

const store = "access"

var (
	client  sls.ClientInterface
	project string
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func be(is bool, found ...interface{}) {
	if !is {
		panic(fmt.Sprint(found...))
	}
}

// refused: an error's code is this one.
func refused(err error, code string) {
	var told *sls.Error
	be(errors.As(err, &told) && told.Code == code, code, err)
}

func main() {
	project = os.Args[2]
	client = sls.CreateNormalInterface(os.Args[1], os.Args[3], os.Args[4], "")
	client.SetAuthVersion(sls.AuthVersionType(os.Args[5]))
	client.SetRegion("cn-hangzhou")
	_, err := client.CreateProject(project, "d")
	check(err)
	made, err := client.GetProject(project)
	check(err)
	be(made.Name == project, made)
	check(client.CreateLogStore(project, store, 3, 1, false, 64))
	check(client.UpdateLogStore(project, store, 5, 1))
	found, err := client.GetLogStore(project, store)
	check(err)
	be(found.TTL == 5, found)
	names, err := client.ListLogStore(project)
	check(err)
	be(len(names) == 1 && names[0] == store, names)
	refused(client.CreateLogStore(project, store, 3, 1, false, 64), "LogStoreAlreadyExist")
	logs()
	searches()
	consumers()
	indexes()
	check(client.DeleteLogStore(project, store))
	check(client.DeleteProject(project))
	_, err = client.GetLogStore(project, store)
	refused(err, "ProjectNotExist")
}

func text(of string) *string { return &of }

func logs() {
	group := &sls.LogGroup{Topic: text("topic"), Source: text("10.0.0.1")}
	group.LogTags = []*sls.LogTag{{Key: text("a"), Value: text("b")}}
	now := uint32(time.Now().Unix())
	for n := 0; n < 300; n++ {
		contents := []*sls.LogContent{
			{Key: text("message"), Value: text(fmt.Sprintf("line %d ü", n))}, {Key: text("n"), Value: text(fmt.Sprint(n))},
		}
		group.Logs = append(group.Logs, &sls.Log{Time: &now, Contents: contents})
	}
	for _, kind := range []int{sls.Compress_LZ4, sls.Compress_None, sls.Compress_ZSTD} {
		check(client.PutLogsWithCompressType(project, store, group, kind))
	}
	check(client.PostLogStoreLogs(project, store, group, text("00000000000000000000000000000000")))
	shards, err := client.ListShards(project, store)
	check(err)
	be(len(shards) == 1 && shards[0].ShardID == 0, shards)
	begin, err := client.GetCursor(project, store, 0, "begin")
	check(err)
	end, err := client.GetCursor(project, store, 0, "end")
	check(err)
	pulled, next, err := client.PullLogs(project, store, 0, begin, end, 100)
	check(err)
	be(next == end && len(pulled.LogGroups) == 4, next, len(pulled.LogGroups))
	first := pulled.LogGroups[0]
	be(first.GetTopic() == "topic" && first.LogTags[0].GetValue() == "b" && len(first.Logs) == 300, first)
	be(first.Logs[7].Contents[0].GetValue() == "line 7 ü", first.Logs[7])
	moment, err := client.GetCursorTime(project, store, 0, begin)
	check(err)
	be(time.Since(moment) < time.Minute, moment)
	_, _, err = client.PullLogs(project, store, 0, "xx", "", 100)
	refused(err, "InvalidCursor")
}

func searches() {
	from, to := time.Now().Unix()-100, time.Now().Unix()+100
	found, err := client.GetLogs(project, store, "topic", from, to, "\"line 7\" and n:7", 10, 0, true)
	check(err)
	be(found.Count == 4 && found.Progress == "Complete" && found.Logs[0]["message"] == "line 7 ü", found)
	query := &sls.GetLogRequest{From: from, To: to, Query: "n < 2 | select n, count(1) as c group by n order by n"}
	counted, err := client.GetLogsV3(project, store, query)
	check(err)
	be(counted.IsComplete() && len(counted.Logs) == 2 && counted.Logs[0]["c"] == "4", counted)
	lines, err := client.GetLogLines(project, store, "", from, to, "line", 10, 0, false)
	check(err)
	be(len(lines.Lines) == 10, lines)
	histograms, err := client.GetHistograms(project, store, "", from, to, "line")
	check(err)
	be(histograms.Count == 1200 && histograms.IsComplete(), histograms)
	_, err = client.GetLogs(project, store, "", from, to, "(", 10, 0, true)
	refused(err, "ParameterInvalid")
}

func consumers() {
	group := sls.ConsumerGroup{ConsumerGroupName: "readers", Timeout: 20, InOrder: true}
	check(client.CreateConsumerGroup(project, store, group))
	refused(client.CreateConsumerGroup(project, store, group), "ConsumerGroupAlreadyExist")
	group.Timeout = 30
	check(client.UpdateConsumerGroup(project, store, group))
	groups, err := client.ListConsumerGroup(project, store)
	check(err)
	be(len(groups) == 1 && *groups[0] == group, groups)
	shards, err := client.HeartBeat(project, store, "readers", "a", []int{})
	check(err)
	be(len(shards) == 1, shards)
	cursor, err := client.GetCursor(project, store, 0, "end")
	check(err)
	check(client.UpdateCheckpoint(project, store, "readers", "a", 0, cursor, true))
	points, err := client.GetCheckpoint(project, store, "readers")
	check(err)
	be(len(points) == 1 && points[0].CheckPoint == cursor, points)
	check(client.DeleteConsumerGroup(project, store, "readers"))
}

func indexes() {
	index := sls.Index{Keys: map[string]sls.IndexKey{"n": {Type: "long", DocValue: true}}, Line: &sls.IndexLine{Token: []string{","}}}
	check(client.CreateIndex(project, store, index))
	check(client.UpdateIndex(project, store, index))
	found, err := client.GetIndex(project, store)
	check(err)
	be(found.Keys["n"].Type == "long", found)
	check(client.DeleteIndex(project, store))
	_, err = client.GetIndex(project, store)
	refused(err, "IndexConfigNotExist")
}

import com.aliyun.openservices.log.Client;
import com.aliyun.openservices.log.common.*;
import com.aliyun.openservices.log.exception.LogException;
import com.aliyun.openservices.log.http.client.ClientConfiguration;
import com.aliyun.openservices.log.http.signer.SignVersion;
import com.aliyun.openservices.log.request.*;
import com.aliyun.openservices.log.response.*;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The life of a logstore with SLS's client for Java, unmodified: ADDRESS PROJECT KEY SECRET VERSION PORT. It takes names
 * without a port only; a port of this machine is its proxy.
 */
public class SlsLife {
    private static final String STORE = "access";
    private static final int LINES = 300;
    private static Client client;
    private static String project;

    private interface Work {
        void run() throws LogException;
    }

    public static void main(String[] words) throws Exception {
        project = words[1];
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setProxyHost("127.0.0.1");
        configuration.setProxyPort(Integer.parseInt(words[5]));
        configuration.setSignatureVersion(SignVersion.valueOf(words[4].toUpperCase()));
        configuration.setRegion("cn-hangzhou");
        client = new Client(words[0], words[2], words[3], configuration);
        client.CreateProject(project, "d");
        be(client.GetProject(project).GetProjectDescription().equals("d"), "the project");
        client.CreateLogStore(project, new LogStore(STORE, 3, 1));
        client.UpdateLogStore(project, new LogStore(STORE, 5, 1));
        be(client.GetLogStore(project, STORE).GetLogStore().GetTtl() == 5, "ttl");
        be(client.ListLogStores(project, 0, 10, "").GetLogStores().equals(List.of(STORE)), "the logstores");
        refused("LogStoreAlreadyExist", () -> client.CreateLogStore(project, new LogStore(STORE, 3, 1)));
        logs();
        searches();
        consumers();
        indexes();
        client.DeleteLogStore(project, STORE);
        client.DeleteProject(project);
        refused("ProjectNotExist", () -> client.GetLogStore(project, STORE));
        client.shutdown();
    }

    private static void be(boolean is, Object found) {
        if (!is) {
            throw new AssertionError(found);
        }
    }

    private static void refused(String code, Work work) {
        try {
            work.run();
        } catch (LogException error) {
            be(code.equals(error.GetErrorCode()), error);
            return;
        }
        throw new AssertionError("not refused: " + code);
    }

    private static void logs() throws LogException {
        List<LogItem> items = new ArrayList<>();
        for (int n = 0; n < LINES; n++) {
            LogItem item = new LogItem((int) (System.currentTimeMillis() / 1000), n, new ArrayList<>());
            item.PushBack("message", "line " + n + " ü");
            item.PushBack("n", "" + n);
            items.add(item);
        }
        for (Consts.CompressType kind : Consts.CompressType.values()) {
            PutLogsRequest request = new PutLogsRequest(project, STORE, "topic", "10.0.0.1", items);
            request.setCompressType(kind);
            request.SetTags(List.of(new TagContent("a", "b")));
            client.PutLogs(request);
        }
        int times = Consts.CompressType.values().length;
        be(client.ListShard(project, STORE).GetShards().get(0).GetShardId() == 0, "the shard");
        String begin = client.GetCursor(project, STORE, 0, Consts.CursorMode.BEGIN).GetCursor();
        String end = client.GetCursor(project, STORE, 0, Consts.CursorMode.END).GetCursor();
        BatchGetLogResponse pulled = client.BatchGetLog(project, STORE, 0, 100, begin, end);
        be(pulled.GetCount() == times && pulled.GetNextCursor().equals(end), pulled.GetCount());
        FastLogGroup group = pulled.GetLogGroup(0).GetFastLogGroup();
        be(group.getTopic().equals("topic") && group.getLogTags(0).getValue().equals("b"), "the labels");
        be(group.getLogs(7).getContents(0).getValue().equals("line 7 ü"), "the line");
        PullLogsRequest request = new PullLogsRequest(project, STORE, 0, 100, begin);
        for (Consts.CompressType kind : List.of(Consts.CompressType.LZ4, Consts.CompressType.ZSTD)) {
            request.setCompressType(kind);
            be(client.pullLogs(request).getCount() == times, kind);
        }
        int received = client.GetCursorTime(project, STORE, 0, begin).GetCursorTime();
        be(Math.abs(received - System.currentTimeMillis() / 1000) < 60, received);
        refused("InvalidCursor", () -> client.BatchGetLog(project, STORE, 0, 100, "xx"));
        refused("LogStoreNotExist", () -> client.PutLogs(project, "nope", "topic", items, "10.0.0.1"));
    }

    private static void searches() throws LogException {
        int times = Consts.CompressType.values().length;
        int now = (int) (System.currentTimeMillis() / 1000);
        GetLogsResponse found = client.GetLogs(project, STORE, now - 100, now + 100, "topic", "\"line 7\" and n:7", 10, 0, true);
        be(found.GetCount() == times && found.IsCompleted(), found.GetCount());
        String counting = "n < 2 | select n, count(1) as c group by n order by n";
        GetLogsResponse counted = client.GetLogs(project, STORE, now - 100, now + 100, "", counting);
        be(counted.GetLogs().get(0).GetLogItem().ToJsonString().contains("\"c\":\"" + times + "\""), counted.GetCount());
        GetHistogramsResponse histogram = client.GetHistograms(project, STORE, now - 100, now + 100, "", "line");
        be(histogram.GetTotalCount() == LINES * times, histogram.GetTotalCount());
        refused("ParameterInvalid", () -> client.GetLogs(project, STORE, now - 100, now, "", "("));
    }

    private static void consumers() throws LogException {
        ConsumerGroup group = new ConsumerGroup("readers", 20, true);
        client.CreateConsumerGroup(project, STORE, group);
        refused("ConsumerGroupAlreadyExist", () -> client.CreateConsumerGroup(project, STORE, group));
        client.UpdateConsumerGroup(project, STORE, "readers", true, 30);
        be(client.ListConsumerGroup(project, STORE).GetConsumerGroups().get(0).getTimeout() == 30, "the group");
        be(client.HeartBeat(project, STORE, "readers", "a", Collections.emptyList()).getShards().equals(List.of(0)), "heart beat");
        String cursor = client.GetCursor(project, STORE, 0, Consts.CursorMode.END).GetCursor();
        client.UpdateCheckPoint(project, STORE, "readers", "a", 0, cursor);
        be(client.GetCheckPoint(project, STORE, "readers").getCheckPoints().get(0).getCheckPoint().equals(cursor), "checkpoint");
        client.DeleteConsumerGroup(project, STORE, "readers");
    }

    private static void indexes() throws LogException {
        String index = "{\"line\":{\"token\":[\",\"],\"caseSensitive\":false},\"keys\":{\"n\":{\"type\":\"long\",\"doc_value\":true}}}";
        client.CreateIndex(project, STORE, index);
        client.UpdateIndex(project, STORE, index);
        be(client.GetIndex(project, STORE).GetIndex().GetKeys().GetKeys().get("n").GetType().equals("long"), "the index");
        client.DeleteIndex(project, STORE);
        refused("IndexConfigNotExist", () -> client.GetIndex(project, STORE));
    }
}

import com.aliyun.mns.client.CloudAccount;
import com.aliyun.mns.client.CloudQueue;
import com.aliyun.mns.client.CloudTopic;
import com.aliyun.mns.client.MNSClient;
import com.aliyun.mns.common.ServiceHandlingRequiredException;
import com.aliyun.mns.model.Message;
import com.aliyun.mns.model.MessagePropertyValue;
import com.aliyun.mns.model.PropertyType;
import com.aliyun.mns.model.QueueMeta;
import com.aliyun.mns.model.RawTopicMessage;
import com.aliyun.mns.model.SubscriptionMeta;
import com.aliyun.mns.model.TopicMeta;
import java.util.ArrayList;
import java.util.List;

/** The life of a queue and of a topic with MNS's client for Java, unmodified: ADDRESS KEY SECRET NAME. */
public class MnsLife {
  public static void main(String[] words) throws Exception {
    MNSClient client = new CloudAccount(words[1], words[2], words[0]).getMNSClient();
    String name = words[3];
    try {
      CloudQueue queue = queues(client, name);
      messages(queue);
      batches(queue);
      topics(client, queue, name);
      queue.delete();
      check(!queue.isQueueExist(), "the queue is gone");
    } finally {
      client.close();
    }
  }

  static CloudQueue queues(MNSClient client, String name) throws Exception {
    QueueMeta meta = new QueueMeta();
    meta.setQueueName(name);
    meta.setVisibilityTimeout(30L);
    meta.setPollingWaitSeconds(0);
    CloudQueue queue = client.createQueue(meta);
    QueueMeta found = queue.getAttributes();
    check(found.getQueueName().equals(name) && found.getVisibilityTimeout() == 30, "attributes");
    found.setVisibilityTimeout(20L);
    queue.setAttributes(found);
    check(queue.getAttributes().getVisibilityTimeout() == 20, "changed attributes");
    check(client.listQueue(name, "", 10).getResult().size() == 1, "the list");
    return queue;
  }

  static void messages(CloudQueue queue) throws Exception {
    check(queue.popMessage() == null, "an empty queue");
    Message message = new Message("a message with <markup> & \u00fc");
    message.setPriority(5);
    message.getUserProperties().put("n", new MessagePropertyValue(PropertyType.NUMBER, "1"));
    Message sent = queue.putMessage(message);
    check(queue.peekMessage().getMessageId().equals(sent.getMessageId()), "a look");
    Message got = queue.popMessage(5);
    check(got.getMessageBody().equals("a message with <markup> & \u00fc"), "the body: " + got.getMessageBody());
    check(got.getPriority() == 5 && got.getDequeueCount() == 1, "what is told of it");
    check(got.getUserProperties().get("n").getStringValue().equals("1"), "properties");
    String handle = queue.changeMessageVisibilityTimeout(got.getReceiptHandle(), 100);
    try {
      queue.deleteMessage(got.getReceiptHandle());
      throw new AssertionError("an old handle was good");
    } catch (ServiceHandlingRequiredException error) {
      check(error.toString().contains("MessageNotExist"), error.toString());
    }
    queue.deleteMessage(handle);
    check(queue.popMessage() == null, "nothing is left");
  }

  static void batches(CloudQueue queue) throws Exception {
    List<Message> messages = new ArrayList<>();
    for (int number = 0; number < 5; number++) {
      messages.add(new Message("text " + number));
    }
    check(queue.batchPutMessage(messages).size() == 5, "a batch");
    check(queue.batchPeekMessage(16).size() == 5, "a look at a batch");
    List<String> handles = new ArrayList<>();
    for (Message each : queue.batchPopMessage(16)) {
      handles.add(each.getReceiptHandle());
    }
    check(handles.size() == 5, "all of them");
    queue.batchDeleteMessage(handles.subList(0, 4));
    try {
      queue.batchDeleteMessage(handles.subList(3, 5));
      throw new AssertionError("a deleted message was deleted again");
    } catch (ServiceHandlingRequiredException error) {
      check(error.toString().contains(handles.get(3)) && !error.toString().contains(handles.get(4)), error.toString());
    }
  }

  static void topics(MNSClient client, CloudQueue queue, String name) throws Exception {
    TopicMeta meta = new TopicMeta();
    meta.setTopicName(name);
    CloudTopic topic = client.createTopic(meta);
    check(topic.getAttribute().getTopicName().equals(name), "a topic");
    SubscriptionMeta subscription = new SubscriptionMeta();
    subscription.setSubscriptionName("s");
    subscription.setEndpoint(topic.generateQueueEndpoint(name));
    subscription.setNotifyContentFormat(SubscriptionMeta.NotifyContentFormat.SIMPLIFIED);
    subscription.setNotifyStrategy(SubscriptionMeta.NotifyStrategy.EXPONENTIAL_DECAY_RETRY);
    subscription.setFilterTag("wanted");
    topic.subscribe(subscription);
    check(topic.getSubscriptionAttr("s").getFilterTag().equals("wanted"), "a subscription");
    check(topic.listSubscriptions("", "", 10).getResult().size() == 1, "the list of them");
    for (String tag : new String[] {"other", "wanted"}) {
      RawTopicMessage message = new RawTopicMessage();
      message.setBaseMessageBody("hello " + tag);
      message.setMessageTag(tag);
      topic.publishMessage(message);
    }
    check(queue.popMessage(5).getMessageBodyAsRawString().equals("hello wanted"), "what was published");
    check(queue.popMessage() == null, "nothing else");
    topic.unsubscribe("s");
    topic.delete();
  }

  static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}

import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class Client {
  public static void main(String[] args) throws Exception {
    OkHttpClient client = new OkHttpClient();

    MediaType mediaType = MediaType.parse("application/json");
    RequestBody body = RequestBody.create(mediaType,
        "{\"id\":\"60b5219d555eb079f59f4796\",\"params\":{\"action\":\"randstring\",\"payload\":16}}");
    Request request = new Request.Builder()
        .url("https://diem.example.com/etl-mgr/api/services")
        .post(body)
        .addHeader("content-type", "application/json")
        .addHeader("x-api-key", "YOUR_API_KEY")
        .build();
    Response response = client.newCall(request).execute();
    System.out.println(response.body().string());

    body = RequestBody.create(mediaType, "{\"id\":\"5fd3a340b15cc4d3b71b7cc7\",\"action\":\"status\"}");
    request = request.newBuilder().url("https://diem.example.com/etl-mgr/api/apijob").post(body).build();
    response = client.newCall(request).execute();
    System.out.println(response.body().string());
    System.exit(0);
  }
}
